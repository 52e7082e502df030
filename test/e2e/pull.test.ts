/** What a pull moves, what it reports, and what it leaves alone. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished, describe, expect, it } from "vitest";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { chainIds } from "../../src/oci/chain-id.ts";
import { formatPlatform, hostPlatform } from "../../src/oci/platform.ts";
import { buildImage, buildIndex } from "../kit/images/build-image.ts";
import { buildLayer } from "../kit/images/build-layer.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry, type KitRegistry, type RegistryOptions } from "../kit/registry/registry.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, layerBytes, sampleImage, sampleLayers } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

async function setUp(options: RegistryOptions = {}): Promise<{ machine: Machine; registry: KitRegistry }> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return { machine, registry };
}

const asked = (registry: KitRegistry): string[] => registry.requests.map(({ method, path }) => `${method} ${path}`);
const blobGets = (registry: KitRegistry): string[] =>
  registry.requests
    .filter(({ method, path }) => method === "GET" && path.includes("/blobs/"))
    .map(({ path }) => path.slice(path.lastIndexOf("/") + 1));

describe("a pull", () => {
  it("reports exactly what it got, in the shape that scripts rely on", async () => {
    const { machine, registry } = await setUp();
    const image = await sampleImage();
    await pushImage(registry.host, "team/app", "v1", image);
    registry.clearRequests();
    const result = await machine.pull(`${registry.host}/team/app:v1`, "--snapshotter", "copy");
    const network = layerBytes(image) + image.config.bytes.length + image.bytes.length;
    expect(result).toEqual({
      reference: `${registry.host}/team/app:v1`,
      digest: image.digest,
      mediaType: image.descriptor.mediaType,
      platform: "linux/amd64",
      imageId: image.config.digest,
      chainId: chainIds(image.layers.map(({ diffId }) => diffId)).at(-1),
      status: "pulled",
      snapshotter: "copy",
      bytes: { network, local: 0, data: 0, zero: 0, total: network },
      requests: registry.requests.length,
      retries: 0,
      resumedBytes: 0,
      durationMs: expect.any(Number),
      peakRssBytes: expect.any(Number),
      layers: image.layers.map(({ descriptor: { digest, size, mediaType }, diffId }) => ({
        how: "full",
        requests: 1,
        fallbacks: [],
        digest,
        diffId,
        mediaType,
        size,
        bytes: { network: size, local: 0, data: 0, zero: 0 },
        unpack: "unpacked",
      })),
      warnings: formatPlatform(hostPlatform()) === "linux/amd64" ? [] : [expect.any(String)],
    });
    expect(registry.requests.reduce((sum, { sent }) => sum + sent, 0)).toBe(network);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it.each(["none", "gzip", "zstd"] as const)(
    "gets layers as %s, of OCI's and Docker's types, that unpack",
    async (compression) => {
      const { machine, registry } = await setUp();
      for (const flavour of ["oci", "docker"] as const) {
        await pushImage(registry.host, flavour, "1", await sampleImage(3, { compression, flavour }));
        await machine.ok("pull", `${registry.host}/${flavour}:1`);
        const tree = join(machine.path, flavour);
        await machine.ok("unpack", `${registry.host}/${flavour}:1`, tree);
        expect(diffTrees(expectedTree(sampleLayers(3)), await readTree(tree), { root: false })).toEqual([]);
      }
      expect(await storeFaults(machine.root)).toEqual([]);
    },
  );

  it("of what is there already costs one HEAD and no bytes", async () => {
    const { machine, registry } = await setUp();
    await pushImage(registry.host, "app", "1", await sampleImage());
    await machine.ok("pull", `${registry.host}/app:1`);
    registry.clearRequests();
    const again = await machine.pull(`${registry.host}/app:1`);
    expect(again).toMatchObject({ status: "up-to-date", requests: 1, bytes: { network: 0, total: 0 } });
    expect(again.layers.map(({ how }) => how)).toEqual(["present", "present", "present"]);
    expect(asked(registry)).toEqual(["HEAD /v2/app/manifests/1"]);
  });

  it("by a digest that is held asks nobody", async () => {
    const { machine, registry } = await setUp();
    const image = await sampleImage();
    await pushImage(registry.host, "app", "1", image);
    await machine.ok("pull", `${registry.host}/app@${image.digest}`);
    await registry.close();
    const again = await machine.pull(`${registry.host}/app@${image.digest}`);
    expect(again).toMatchObject({ status: "up-to-date", requests: 0, bytes: { network: 0 }, digest: image.digest });
  });

  it("does not fetch again what another name or registry brought", async () => {
    const { machine, registry } = await setUp();
    await using other = await startRegistry();
    const image = await sampleImage();
    await pushImage(registry.host, "app", "1", image);
    await pushImage(registry.host, "copy", "2", image);
    await pushImage(other.host, "elsewhere", "3", image);
    await machine.ok("pull", `${registry.host}/app:1`);
    registry.clearRequests();
    other.clearRequests();
    const renamed = await machine.pull(`${registry.host}/copy:2`);
    const moved = await machine.pull(`${other.host}/elsewhere:3`);
    expect([renamed.status, moved.status]).toEqual(["pulled", "pulled"]);
    expect([renamed.bytes.network, moved.bytes.network]).toEqual([0, 0]);
    expect(blobGets(registry)).toEqual([]);
    expect(blobGets(other)).toEqual([]);
    expect(await machine.images()).toHaveLength(3);
  });

  it("fetches only the layers that changed when a tag moves on", async () => {
    const { machine, registry } = await setUp();
    const [base = [], app = [], late = []] = await Promise.all(sampleLayers().map((layer) => buildLayer(layer)));
    const changed = await buildLayer([file("changed", "yes")]);
    await pushImage(registry.host, "app", "1", await buildImage({ layers: [base, app, late] }));
    await machine.ok("pull", `${registry.host}/app:1`);
    await pushImage(registry.host, "app", "1", await buildImage({ layers: [base, app, changed] }));
    const second = await machine.pull(`${registry.host}/app:1`);
    expect(second.status).toBe("pulled");
    expect(second.layers.map(({ how }) => how)).toEqual(["present", "present", "full"]);
    expect(await machine.images()).toHaveLength(1);
  });

  it("fetches a layer once that the manifest lists twice", async () => {
    const { machine, registry } = await setUp();
    const layer = await buildLayer([file("twice", "x".repeat(1000))]);
    const image = await buildImage({ layers: [layer, [file("between")], layer] });
    await pushImage(registry.host, "app", "1", image);
    registry.clearRequests();
    const { layers, bytes } = await machine.pull(`${registry.host}/app:1`);
    expect(layers.map(({ how }) => how)).toEqual(["full", "full", "present"]);
    expect(blobGets(registry).filter((digest) => digest === layer.descriptor.digest)).toHaveLength(1);
    expect(bytes.network).toBe(registry.requests.reduce((sum, { sent }) => sum + sent, 0));
  });

  it("asks for no layer that the manifest carries", async () => {
    const { machine, registry } = await setUp();
    const layer = await buildLayer([file("small", "carried")]);
    const data = layer.bytes.toString("base64");
    const lies = { manifest: { layers: [{ ...layer.descriptor, data }] } };
    const image = await buildImage({ layers: [layer], lies });
    await pushImage(registry.host, "app", "1", image);
    registry.clearRequests();
    const { layers } = await machine.pull(`${registry.host}/app:1`);
    expect(layers).toMatchObject([{ how: "full", bytes: { network: 0, data: layer.bytes.length } }]);
    expect(blobGets(registry)).toEqual([image.config.digest]);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("of several references gives an array, of which layers in common are fetched once", async () => {
    const { machine, registry } = await setUp();
    const shared = await buildLayer([file("shared", "x".repeat(5000))]);
    await pushImage(registry.host, "one", "1", await buildImage({ layers: [shared, [file("a")]] }));
    await pushImage(registry.host, "two", "1", await buildImage({ layers: [shared, [file("b")]] }));
    const results = (await machine.ok("pull", `${registry.host}/one:1`, `${registry.host}/two:1`)) as PullResult[];
    expect(results.map(({ reference }) => reference)).toEqual([`${registry.host}/one:1`, `${registry.host}/two:1`]);
    expect(results.map(({ layers }) => layers[0]?.how)).toEqual(["full", "present"]);
  });

  it("of an index gets the platform that is asked for, and each on its own", async () => {
    const { machine, registry } = await setUp();
    const arm = await sampleImage(5, { platform: { os: "linux", architecture: "arm64", variant: "v8" } });
    const index = buildIndex([await sampleImage(4), arm]);
    await pushImage(registry.host, "app", "1", index);
    const name = `${registry.host}/app:1`;
    const first = await machine.pull("--platform", "linux/arm64", name);
    expect(first).toMatchObject({ digest: index.digest, imageId: arm.config.digest, status: "pulled" });
    expect(first.platform).toMatch(/^linux\/arm64/);
    const second = await machine.pull("--platform", "linux/amd64", name);
    expect(second).toMatchObject({ digest: index.digest, platform: "linux/amd64", status: "pulled" });
    expect(second.imageId).not.toBe(arm.config.digest);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("with --no-unpack gets the blobs and leaves their content unchecked", async () => {
    const { machine, registry } = await setUp({ quirks: { credulous: true } });
    const image = await buildImage({
      layers: [[file("f", "x")]],
      lies: { layers: { 0: { diffId: `sha256:${"1".repeat(64)}` as never } } },
    });
    await pushImage(registry.host, "app", "1", image);
    expect(await machine.fails("pull", `${registry.host}/app:1`)).toMatchObject({ code: "DIFFID_MISMATCH", exit: 5 });
    expect(await machine.ok("pull", "--no-unpack", `${registry.host}/app:1`)).toMatchObject({ status: "pulled" });
    // What was not checked then is checked when it matters.
    const tree = join(machine.path, "tree");
    expect(await machine.fails("unpack", `${registry.host}/app:1`, tree)).toMatchObject({ code: "DIFFID_MISMATCH" });
    expect(existsSync(tree)).toBe(false);
  });

  it("takes an image without layers, and a layer without bytes", async () => {
    const { machine, registry } = await setUp();
    await pushImage(registry.host, "none", "1", await buildImage({ layers: [] }));
    await pushImage(registry.host, "empty", "1", await buildImage({ layers: [Buffer.alloc(0)], compression: "none" }));
    expect(await machine.ok("pull", `${registry.host}/none:1`)).toMatchObject({ chainId: null, layers: [] });
    expect(await machine.ok("pull", `${registry.host}/empty:1`)).toMatchObject({ layers: [{ size: 0 }] });
    for (const name of ["none", "empty"]) {
      await machine.ok("unpack", `${registry.host}/${name}:1`, join(machine.path, name));
      expect(await readTree(join(machine.path, name))).toHaveLength(1);
    }
  });

  it("from a registry that gives no digest header, refuses HEAD and serves no ranges, comes out the same", async () => {
    const quirks = { digestHeader: false, manifestHead: 405, ranges: "ignore", contentTypeParameters: true } as const;
    const { machine, registry } = await setUp({ quirks });
    const image = await bulkImage(7, 20_000_000);
    await pushImage(registry.host, "app", "1", image);
    const result = await machine.pull("-j", "4", `${registry.host}/app:1`);
    expect(result).toMatchObject({ status: "pulled", digest: image.digest });
    expect(await storeFaults(machine.root)).toEqual([]);
  });
});

describe("--plan", () => {
  it("makes no store, and tells what the pull then moves", async () => {
    const { machine, registry } = await setUp();
    await pushImage(registry.host, "app", "1", await sampleImage());
    const plan = await machine.pull("--plan", `${registry.host}/app:1`);
    expect(plan.status).toBe("planned");
    expect(existsSync(machine.root)).toBe(false);
    expect(blobGets(registry)).toEqual([plan.imageId]);
    const real = await machine.pull(`${registry.host}/app:1`);
    expect(plan.bytes).toEqual(real.bytes);
    expect(plan.layers).toMatchObject(real.layers.map((layer) => Object.assign(layer, { unpack: null })));
    expect(plan.layers.every(({ why }) => why !== undefined)).toBe(true);
  });

  it("of what is there moves nothing and changes nothing", async () => {
    const { machine, registry } = await setUp();
    await pushImage(registry.host, "app", "1", await sampleImage());
    await machine.ok("pull", `${registry.host}/app:1`);
    await pushImage(registry.host, "app", "1", await sampleImage(2));
    const before = await readTree(machine.root);
    const plan = await machine.pull("--plan", `${registry.host}/app:1`);
    expect(plan.layers.every(({ how }) => how === "full")).toBe(true);
    // What SQLite needs beside its file to read it comes and goes.
    const changes = diffTrees(before, await readTree(machine.root));
    expect(changes.filter((line) => !/^"(meta\.db-\w+)?": /.test(line))).toEqual([]);
  });
});

describe("--progress json", () => {
  it("is one event a line, which end at the totals", async () => {
    const { machine, registry } = await setUp();
    const image = await bulkImage(9, 3_000_000, 200_000);
    await pushImage(registry.host, "app", "1", image);
    const { stderr, json, code } = await machine.varve(
      "pull",
      "--json",
      "--progress",
      "json",
      `${registry.host}/app:1`,
    );
    expect(code).toBe(0);
    const events = stderr
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const reference = `${registry.host}/app:1`;
    expect(events.at(0)).toEqual({ type: "resolve", reference });
    expect(events.at(-1)).toEqual({ type: "image-done", reference, digest: image.digest });
    for (const { descriptor, diffId } of image.layers) {
      const { digest, size } = descriptor;
      const own = events.filter((event) => event["digest"] === digest);
      expect(own.at(0)).toEqual({ type: "layer-queued", digest, total: size, done: 0 });
      expect(own.at(1)).toEqual({ type: "layer-start", digest, total: size, resumed: 0 });
      expect(own.at(-1)).toEqual({ type: "layer-done", digest, total: size, diffId });
      const progress = own.filter(({ type }) => type === "progress");
      expect(progress.at(-1)).toMatchObject({ done: size, total: size, network: size, local: 0, data: 0, zero: 0 });
      const done = progress.map((event) => Number(event["done"]));
      expect(done).toEqual(done.toSorted((a, b) => a - b));
    }
    expect(json).toMatchObject({ status: "pulled" });
  });

  it("keeps plain words to stderr and JSON to stdout", async () => {
    const { machine, registry } = await setUp();
    await pushImage(registry.host, "app", "1", await sampleImage());
    const { stdout, stderr } = await machine.exec(["pull", `${registry.host}/app:1`]);
    expect(stdout).toContain(`${registry.host}/app:1: pulled\n`);
    expect(stderr).toContain(`resolving ${registry.host}/app:1\n`);
    const { stdout: quiet, stderr: silence } = await machine.exec(["pull", "-q", `${registry.host}/app:1`]);
    expect([quiet, silence]).toEqual([expect.stringMatching(/^\S+\/app:1@sha256:[0-9a-f]{64}\n$/), ""]);
  });
});
