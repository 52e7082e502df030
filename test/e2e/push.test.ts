/** What a push sends, what it spares, and what arrives. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import type { PushResult } from "../../src/transfer/push.ts";
import { buildImage, buildIndex, type KitImage } from "../kit/images/build-image.ts";
import { writeOciLayout } from "../kit/images/oci-layout.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry, type KitRegistry, type RegistryOptions } from "../kit/registry/registry.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { layerBytes, sampleImage, sampleLayers } from "./samples.ts";

async function setUp(options: RegistryOptions = {}): Promise<{ machine: Machine; registry: KitRegistry }> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return { machine, registry };
}

async function other(options: RegistryOptions = {}): Promise<KitRegistry> {
  const registry = await startRegistry(options);
  onTestFinished(() => registry.close());
  return registry;
}

const push = async (machine: Machine, ...args: readonly string[]): Promise<PushResult> =>
  (await machine.ok("push", ...args)) as PushResult;

const asked = (registry: KitRegistry): string[] => registry.requests.map(({ method, path }) => `${method} ${path}`);
const blobs = (registry: KitRegistry, method: string): number =>
  registry.requests.filter((request) => request.method === method && request.path.includes("/blobs/")).length;

async function digestAt(host: string, name: string, tag: string): Promise<string | null> {
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${tag}`, { method: "HEAD" });
  return answer.status === 200 ? answer.headers.get("docker-content-digest") : null;
}

/** An image that a machine has pulled from one registry, and a second, empty registry. */
async function pulled(image?: KitImage) {
  const { machine, registry } = await setUp();
  const built = image ?? (await sampleImage());
  await pushImage(registry.host, "team/app", "v1", built);
  await machine.ok("pull", `${registry.host}/team/app:v1`);
  registry.clearRequests();
  return { machine, from: registry, image: built, source: `${registry.host}/team/app:v1`, to: await other() };
}

describe("a push", () => {
  it("puts there just what was pulled, byte for byte, and reports it", async () => {
    const { machine, from, to, image, source } = await pulled();
    const result = await push(machine, source, `${to.host}/copy:v2`);
    const copied = layerBytes(image) + image.config.bytes.length;
    expect(result).toEqual({
      source,
      destination: `docker://${to.host}/copy:v2`,
      digest: image.digest,
      mediaType: image.descriptor.mediaType,
      status: "copied",
      blobs: { copied: image.layers.length + 1, mounted: 0, present: 0 },
      manifests: 1,
      bytes: { network: 0, sent: copied + image.bytes.length, copied },
      requests: to.requests.length,
      retries: 0,
      durationMs: expect.any(Number),
      peakRssBytes: expect.any(Number),
      warnings: [],
    });
    expect(asked(from)).toEqual([]);
    // The tag comes last, the config after the layers.
    expect(asked(to).at(-1)).toBe("PUT /v2/copy/manifests/v2");
    const heads = asked(to).filter((line) => line.startsWith("HEAD /v2/copy/blobs/"));
    expect(heads.at(-1)).toContain(image.config.digest);
    expect(await digestAt(to.host, "copy", "v2")).toBe(image.digest);
    const machine2 = await newMachine();
    onTestFinished(() => machine2[Symbol.asyncDispose]());
    expect(await machine2.pull(`${to.host}/copy:v2`)).toMatchObject({ digest: image.digest });
  });

  it("of a tag that is there already costs one HEAD", async () => {
    const { machine, to, source } = await pulled();
    await push(machine, source, `${to.host}/copy:v2`);
    to.clearRequests();
    const again = await push(machine, source, `${to.host}/copy:v2`);
    expect(again).toMatchObject({ status: "up-to-date", requests: 1, bytes: { network: 0, sent: 0, copied: 0 } });
    expect(asked(to)).toEqual(["HEAD /v2/copy/manifests/v2"]);
  });

  it("under another tag of the same repository looks at the manifest alone", async () => {
    const { machine, to, image, source } = await pulled();
    await push(machine, source, `${to.host}/copy:v2`);
    to.clearRequests();
    const again = await push(machine, source, `${to.host}/copy:v3`);
    expect(again).toMatchObject({ status: "copied", manifests: 1, blobs: { copied: 0, mounted: 0, present: 0 } });
    expect(asked(to)).toEqual([
      "HEAD /v2/copy/manifests/v3",
      `HEAD /v2/copy/manifests/${image.digest}`,
      "PUT /v2/copy/manifests/v3",
    ]);
    expect(await digestAt(to.host, "copy", "v3")).toBe(image.digest);
  });

  it("sends only what changed", async () => {
    const { machine, registry } = await setUp();
    const [base = [], app = []] = sampleLayers();
    const [old, young] = [
      await buildImage({ layers: [base, app] }),
      await buildImage({ layers: [base, [file("changed", "yes")]] }),
    ];
    const dir = join(machine.path, "layout");
    await writeOciLayout(dir, old, "old");
    await writeOciLayout(dir, young, "young");
    await push(machine, `oci:${dir}:old`, `${registry.host}/app:1`);
    const second = await push(machine, `oci:${dir}:young`, `${registry.host}/app:1`);
    expect(second).toMatchObject({ digest: young.digest, blobs: { copied: 2, mounted: 0, present: 1 } });
  });

  it("has the registry take blobs from its other repositories that the store knows of", async () => {
    const { machine, from, image, source } = await pulled();
    const result = await push(machine, source, `${from.host}/team/copy:v1`);
    expect(result).toMatchObject({
      blobs: { copied: 0, mounted: image.layers.length + 1, present: 0 },
      bytes: { network: 0, sent: image.bytes.length, copied: 0 },
    });
    expect(blobs(from, "PUT") + blobs(from, "PATCH")).toBe(0);
    expect(await digestAt(from.host, "team/copy", "v1")).toBe(image.digest);
  });

  it("sends blobs where the registry does not take them over, and soon stops asking", async () => {
    const { machine, from, image, source } = await pulled(
      await buildImage({ layers: Array.from({ length: 6 }, (_, at) => [file(`f${at}`, `${at}`.repeat(500))]) }),
    );
    from.setQuirks({ mount: false });
    const result = await push(machine, "-j", "1", source, `${from.host}/team/copy:v1`);
    expect(result.blobs).toEqual({ copied: 7, mounted: 0, present: 0 });
    expect(await digestAt(from.host, "team/copy", "v1")).toBe(image.digest);
    expect(from.requests.filter(({ method }) => method === "POST")).toHaveLength(7);
  });

  it("without a name of its own goes to that of the image", async () => {
    const { machine, to, image, source } = await pulled();
    await machine.ok("tag", source, `${to.host}/named:v9`);
    const result = await push(machine, `${to.host}/named:v9`);
    expect(result).toMatchObject({ destination: `docker://${to.host}/named:v9`, digest: image.digest });
    expect(await digestAt(to.host, "named", "v9")).toBe(image.digest);
    const both = await machine.fails("push", image.digest);
    expect(both).toMatchObject({ code: "USAGE", message: expect.stringContaining("has 2 names") });
    const layout = await machine.fails("push", "oci:somewhere");
    expect(layout).toMatchObject({ code: "USAGE", hint: "varve push oci:somewhere HOST/NAME:TAG" });
    const file = await machine.fails("push", source, "oci:somewhere");
    expect(file).toMatchObject({ code: "USAGE", hint: `varve copy ${source} oci:somewhere writes it there` });
    expect(await machine.fails("push", "nothing:1")).toMatchObject({ code: "IMAGE_NOT_FOUND", exit: 3 });
  });

  it("holds a destination with a digest to it", async () => {
    const { machine, to, image, source } = await pulled();
    const byDigest = await push(machine, source, `${to.host}/copy@${image.digest}`);
    expect(byDigest.digest).toBe(image.digest);
    expect(asked(to).at(-1)).toBe(`PUT /v2/copy/manifests/${image.digest}`);
    const wrong = image.config.digest;
    const refused = await machine.fails("push", source, `${to.host}/copy:x@${wrong}`);
    expect(refused).toMatchObject({ code: "REFERENCE_INVALID", exit: 2 });
    expect(await digestAt(to.host, "copy", "x")).toBeNull();
  });

  it("writes the digest to a file", async () => {
    const { machine, to, image, source } = await pulled();
    const path = join(machine.path, "digest");
    await push(machine, "--digestfile", path, source, `${to.host}/copy:v2`);
    expect(await readFile(path, "utf8")).toBe(image.digest);
  });

  it("sends chunks of the size that is asked for", async () => {
    const { machine, to, image, source } = await pulled();
    await push(machine, "--chunk-size", "16K", source, `${to.host}/copy:v2`);
    const chunks = to.requests.filter(({ method }) => method === "PATCH");
    expect(chunks.length).toBeGreaterThan(layerBytes(image) / 16_384 - image.layers.length - 1);
    expect(await digestAt(to.host, "copy", "v2")).toBe(image.digest);
    expect(await machine.fails("push", "--chunk-size", "0", source, `${to.host}/x:1`)).toMatchObject({ code: "USAGE" });
  });
});

describe("a push of an index", () => {
  const arm = { os: "linux", architecture: "arm64" };

  it("is of the platform that is held, or with --all of everything, children before parents", async () => {
    const { machine, registry } = await setUp();
    const [amd64, arm64] = [await sampleImage(1), await sampleImage(2, { platform: arm })];
    const index = buildIndex([amd64, arm64]);
    const dir = join(machine.path, "layout");
    await writeOciLayout(dir, index, "v1");
    const one = await push(machine, "--platform", "linux/arm64", `oci:${dir}:v1`, `${registry.host}/one:v1`);
    expect(one.digest).toBe(arm64.digest);
    const all = await push(machine, "--all", `oci:${dir}:v1`, `${registry.host}/all:v1`);
    expect(all).toMatchObject({ digest: index.digest, manifests: 3 });
    const puts = asked(registry).filter((line) => line.startsWith("PUT /v2/all/manifests/"));
    expect(puts.toSorted()).toEqual(
      [amd64.digest, arm64.digest, "v1"].map((target) => `PUT /v2/all/manifests/${target}`).toSorted(),
    );
    expect(puts.at(-1)).toBe("PUT /v2/all/manifests/v1");
    registry.clearRequests();
    const tag = await push(machine, "--all", `oci:${dir}:v1`, `${registry.host}/all:v2`);
    expect(tag).toMatchObject({ manifests: 1, requests: 3 });
  });

  it("of which only a part is held needs the rest only where it is not there yet", async () => {
    const { machine, registry } = await setUp();
    const [amd64, arm64] = [await sampleImage(1), await sampleImage(2, { platform: arm })];
    await pushImage(registry.host, "app", "v1", buildIndex([amd64, arm64]));
    const name = `${registry.host}/app:v1`;
    await machine.ok("pull", "--platform", "linux/arm64", name);
    const to = await other();
    const sparse = await machine.fails("push", "--all", name, `${to.host}/app:v1`);
    expect(sparse).toMatchObject({ code: "MANIFEST_UNKNOWN", message: expect.stringContaining(amd64.digest), exit: 3 });
    expect(to.requests.filter(({ method }) => method === "PUT")).toEqual([]);
    await pushImage(to.host, "app", "other", amd64);
    const rest = await push(machine, "--all", name, `${to.host}/app:v1`);
    expect(rest).toMatchObject({ manifests: 2, blobs: { copied: 4 } });
  });
});

describe("a push of what was given up", () => {
  it("mounts the blobs, or passes them through without keeping them", async () => {
    const { machine, registry } = await setUp();
    const image = await sampleImage();
    await pushImage(registry.host, "team/app", "v1", image);
    const source = `${registry.host}/team/app:v1`;
    await machine.ok("pull", "--discard-blobs", "--snapshotter", "copy", source);
    registry.clearRequests();
    const mounted = await push(machine, source, `${registry.host}/team/copy:v1`);
    expect(mounted.blobs).toEqual({ copied: 0, mounted: image.layers.length + 1, present: 0 });
    expect(blobs(registry, "GET")).toBe(0);
    const to = await other();
    // The name that it has here only is not where its blobs are.
    await machine.ok("tag", source, `${to.host}/renamed:v1`);
    const passed = await push(machine, `${to.host}/renamed:v1`);
    expect(passed).toMatchObject({
      digest: image.digest,
      blobs: { copied: image.layers.length + 1, mounted: 0, present: 0 },
      bytes: { network: layerBytes(image) },
    });
    expect(await digestAt(to.host, "renamed", "v1")).toBe(image.digest);
    const [layer] = image.layers;
    const again = await machine.pull("--no-unpack", "--plan", source);
    expect(again.layers.find(({ digest }) => digest === layer?.descriptor.digest)?.how).not.toBe("present");
  });
});

describe("a push with --creds", () => {
  it("shows them to the registry that it goes to, and not to that which the blobs come from", async () => {
    const auth = { kind: "basic", users: { ada: "secret-of-ada", bob: "secret-of-bob" } } as const;
    const { machine, registry: from } = await setUp({ auth });
    const to = await other({ auth });
    const account = { username: "ada", password: "secret-of-ada" };
    const image = await sampleImage();
    await pushImage(from.host, "app", "v1", image, { credentials: account });
    const source = `${from.host}/app:v1`;
    await machine.ok("pull", "--creds", "ada:secret-of-ada", "--discard-blobs", "--snapshotter", "copy", source);
    from.clearRequests();
    const args = ["--creds", "bob:secret-of-bob", source, `${to.host}/app:v1`];
    expect(await machine.fails("push", ...args)).toMatchObject({ code: "UNAUTHORIZED", exit: 4 });
    expect(from.requests.length).toBeGreaterThan(0);
    for (const { headers } of from.requests) expect(headers).not.toHaveProperty("authorization");
    const authfile = join(machine.path, "auth.json");
    const entry = { auth: Buffer.from("ada:secret-of-ada").toString("base64") };
    await writeFile(authfile, JSON.stringify({ auths: { [from.host]: entry } }));
    expect((await push(machine, "--authfile", authfile, ...args)).digest).toBe(image.digest);
  });
});

describe("a push with --compression", () => {
  it.each(["gzip", "zstd", "zstd:chunked"] as const)(
    "makes layers of %s, and keeps the image ID",
    async (compression) => {
      const { machine, to, image, source } = await pulled(await sampleImage(1, { compression: "none" }));
      const result = await push(machine, "--compression", compression, source, `${to.host}/copy:v1`);
      expect(result).toMatchObject({ status: "copied", blobs: { copied: 4 } });
      expect(result.digest).not.toBe(image.digest);
      await using reader = await newMachine();
      const read = await reader.pull(`${to.host}/copy:v1`);
      expect(read).toMatchObject({ digest: result.digest, imageId: image.config.digest });
      expect(read.layers.map(({ diffId }) => diffId)).toEqual(image.layers.map(({ diffId }) => diffId));
      expect(read.layers.every(({ mediaType }) => mediaType.endsWith(compression === "gzip" ? "+gzip" : "+zstd"))).toBe(
        true,
      );
      // The same each time, so that it is there already.
      const again = await push(machine, "--compression", compression, source, `${to.host}/copy:v1`);
      expect(again).toMatchObject({ status: "up-to-date", digest: result.digest });
      const signed = await machine.fails("push", "--compression", compression, "--referrers", source, `${to.host}/x:1`);
      expect(signed).toMatchObject({ code: "USAGE" });
    },
  );
});
