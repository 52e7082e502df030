import { mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { scriptedServer } from "../../test/kit/http/scripted-server.ts";
import { buildImage, type KitImage } from "../../test/kit/images/build-image.ts";
import { pushImage } from "../../test/kit/images/push-image.ts";
import { startRegistry, type KitRegistry } from "../../test/kit/registry/registry.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import { inProcess } from "../layer/in-process.ts";
import { noBytes } from "../recipe/bytes.ts";
import type { ProgressEvent } from "../recipe/progress.ts";
import { RegistryClient } from "../registry/client.ts";
import type { RegistryOptions } from "../registry/options.ts";
import { openStore } from "../store/store.ts";
import { pull, type PullOptions } from "./pull.ts";
import type { PullResult } from "./pull-result.ts";

interface Bench {
  readonly registry: KitRegistry;
  readonly image: KitImage;
  readonly name: string;
  readonly root: string;
  /** Puts a mirror before the registry. @returns the `hostsDir` for it */
  readonly mirrored: (url: string) => Promise<string>;
  /** Pulls as a process of its own would: with a store that is opened for it and closed. */
  readonly run: (
    options?: PullOptions & { readonly at?: number; readonly registry?: RegistryOptions },
  ) => Promise<PullResult & { readonly events: ProgressEvent[] }>;
}

async function bench(): Promise<Bench> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const image = await buildImage({ layers: [[file("a", "one")], [file("b", "two")]] });
  await pushImage(registry.host, "app", "1", image);
  const root = join(dir.path, "store");
  const name = `${registry.host}/app:1`;
  return {
    registry,
    image,
    name,
    root,
    async mirrored(url) {
      const hostsDir = join(dir.path, "hosts");
      await mkdir(join(hostsDir, registry.host), { recursive: true });
      const hosts = `server = "${registry.url}"\n[host."${url}"]\n`;
      await writeFile(join(hostsDir, registry.host, "hosts.toml"), hosts);
      return hostsDir;
    },
    async run({ at = Date.now(), registry: transport = {}, ...options } = {}) {
      const events: ProgressEvent[] = [];
      await using store = await openStore(root, { clock: () => at });
      await using client = new RegistryClient({ registriesConf: false, ...transport });
      const { signal } = new AbortController();
      const onProgress = (event: ProgressEvent): void => void events.push(event);
      registry.clearRequests();
      const result = await pull({ store, registry: client, threads: inProcess, signal, onProgress }, name, options);
      return { ...result, events };
    },
  };
}

/** When each file of the store was last written; SQLite's log and its index are not there between two runs. */
async function written(root: string): Promise<Record<string, bigint>> {
  const names = (await readdir(root, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  const times = names.map(async ({ name, parentPath }) => {
    const path = join(parentPath, name);
    return [path, (await stat(path, { bigint: true })).mtimeNs] as const;
  });
  return Object.fromEntries(await Promise.all(times));
}

const HOUR = 60 * 60 * 1000;

describe("a pull that finds everything there", () => {
  it("costs one request and writes nothing", async () => {
    const { run, root, registry, image } = await bench();
    const first = await run();
    const before = await written(root);
    const again = await run();
    expect(again).toMatchObject({ status: "up-to-date", requests: 1, bytes: { total: 0 }, resumedBytes: 0 });
    expect(registry.requests.map(({ method }) => method)).toEqual(["HEAD"]);
    expect(again.layers).toEqual(
      first.layers.map((layer) => Object.assign(layer, { how: "present", bytes: noBytes(), requests: 0 })),
    );
    const present = again.events.filter(({ type }) => type === "layer-present");
    expect(present).toEqual(
      image.layers.map(({ descriptor: { digest, size } }) => ({ type: "layer-present", digest, total: size })),
    );
    expect(await written(root)).toEqual(before);
  });

  it("notes once in an hour that the image is in use", async () => {
    const { run, root, name } = await bench();
    await run({ at: HOUR });
    const usedAt = async (at: number): Promise<number | undefined> => {
      await run({ at });
      await using store = await openStore(root, { readOnly: true });
      return (await store.images.get(name))?.updatedAt.getTime();
    };
    expect(await usedAt(1.9 * HOUR)).toBe(HOUR);
    expect(await usedAt(2.1 * HOUR)).toBe(2.1 * HOUR);
  });

  it("checks the layers that were got without a check", async () => {
    const { run, root } = await bench();
    await run({ unpack: false });
    const again = await run();
    expect(again).toMatchObject({ status: "up-to-date", requests: 1 });
    await using store = await openStore(root, { readOnly: true });
    for (const { digest, diffId } of again.layers) expect(await store.layers.get(digest)).toMatchObject({ diffId });
  });

  it("gets a layer again that is gone", async () => {
    const { run, root, image } = await bench();
    await run();
    {
      await using store = await openStore(root);
      await store.content.remove(image.layers[1]!.descriptor.digest);
    }
    expect(await run()).toMatchObject({ status: "pulled", layers: [{ how: "present" }, { how: "full" }] });
  });
});

describe("a pull through a mirror that lies", () => {
  it("gets the layers from the registry when the mirror's come out wrong", async () => {
    const { run, image, mirrored } = await bench();
    const lied: string[] = [];
    await using mirror = await scriptedServer((request, response) => {
      const layer = image.layers.find(({ descriptor }) => request.url.includes(descriptor.digest));
      if (layer === undefined) return void response.writeHead(404).end();
      lied.push(request.url);
      response.end(Buffer.alloc(layer.bytes.length, "lie"));
    });
    const result = await run({ registry: { hostsDir: await mirrored(mirror.url) } });
    expect(result).toMatchObject({ status: "pulled", layers: [{ how: "full" }, { how: "full" }] });
    expect(lied).toHaveLength(image.layers.length);
    const fallbacks = result.events.filter(({ type }) => type === "fallback");
    expect(fallbacks).toHaveLength(image.layers.length);
  });
});

describe("a pull from a registry that warns", () => {
  it("says so once, in an event and in its report", async () => {
    const { run, mirrored } = await bench();
    await using mirror = await scriptedServer((_, response) => {
      response.writeHead(404, { warning: '299 - "this mirror closes"' }).end();
    });
    const { events, warnings } = await run({ registry: { hostsDir: await mirrored(mirror.url) } });
    const message = `${mirror.host} warns: this mirror closes`;
    expect(events.filter(({ type }) => type === "warning")).toContainEqual({ type: "warning", message });
    expect(warnings.filter((text) => text.includes("closes"))).toEqual([message]);
    expect(events.some(({ type }) => type === "failover")).toBe(true);
  });
});
