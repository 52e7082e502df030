/** Images of disks go where they are sent, byte for byte, whatever of their blobs was given up. */
import { chmod, open, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { decodePlainly } from "../../../test/codec/apple-lz4/reference.ts";
import { pushMachine } from "../../../test/kit/disk/machine-bench.ts";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { someVmConfig, tartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { DISK_INDEX_TYPE } from "../../codec/disk-index/index-manifest.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import { tartConfig, tartManifest, type ChunkBlob } from "../../codec/tart/write-tart.ts";
import { encodersHere } from "../../disk/import/encoders.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../oci/manifest.ts";
import { copyImage } from "../copy.ts";
import { convertImage } from "../convert.ts";
import { recordGivenUp } from "../given-up.ts";
import type { Store } from "../../store/store.ts";
import { pull } from "../pull.ts";
import type { PullResult } from "../pull-result.ts";
import { pushImage } from "../push.ts";
import { importDisk, type ImportOptions, type ImportResult } from "./import-disk.ts";

const MIB = 1 << 20;
const NAME = "example.com/vm:1";

async function registry(): Promise<KitRegistry> {
  const started = await startRegistry();
  onTestFinished(() => started.close());
  return started;
}

/** Data, two chunks of holes, data, and a part of a chunk. */
async function imported(
  options: ImportOptions = {},
  name = NAME,
): Promise<{ readonly context: TestContext; readonly disk: Buffer; readonly result: ImportResult }> {
  const context = await transferContext();
  const path = join(context.path, "disk");
  await writeFile(path, noise(MIB + 100_000, "front"));
  await truncate(path, 4 * MIB);
  await writeFile(path, Buffer.from("compresses well. ".repeat(20_000)), { flag: "a" });
  const result = await importDisk(context, path, name, { chunkSize: MIB, sourceDateEpoch: 1, ...options });
  return { context, disk: await readFile(path), result };
}

/** What a registry holds under a name, by plain requests: the manifest's bytes, and the disk that its chunks decode to. */
async function fetchDisk(url: string, tag = "1"): Promise<{ readonly digest: Digest; readonly disk: Buffer }> {
  const accept = "application/vnd.oci.image.manifest.v1+json";
  const got = async (path: string): Promise<Buffer> => {
    const answer = await fetch(`${url}/v2/vm/${path}`, { headers: { accept } });
    expect(answer.status).toBe(200);
    return Buffer.from(await answer.arrayBuffer());
  };
  const bytes = await got(`manifests/${tag}`);
  const [disk] = readDiskImage(parseManifest(bytes) as Manifest)?.disks ?? [];
  if (disk?.kind !== "chunks") return expect.unreachable();
  const parts: Buffer[] = [];
  for (const { blob, digest } of disk.chunks) {
    const content = decodePlainly(await got(`blobs/${blob.digest}`))!;
    expect(digestOf(content)).toBe(digest);
    parts.push(content);
  }
  return { digest: digestOf(bytes), disk: Buffer.concat(parts) };
}

function readPulled({ disks }: PullResult): Promise<Buffer> {
  return readFile(disks?.[0]?.path ?? expect.unreachable());
}

async function indexesAt(url: string, subject: Digest): Promise<readonly unknown[]> {
  const answer = await fetch(`${url}/v2/vm/referrers/${subject}`);
  const { manifests } = (await answer.json()) as { manifests: readonly { readonly artifactType?: string }[] };
  return manifests.filter(({ artifactType }) => artifactType === DISK_INDEX_TYPE);
}

/** An image whose chunks nobody here would encode like this. */
function foreignImage(
  disk: Buffer,
  chunkSize = 100_000,
): { readonly manifest: Manifest; readonly blobs: ReadonlyMap<Digest, Buffer> } {
  const blobs = new Map<Digest, Buffer>();
  const put = (bytes: Buffer): { readonly digest: Digest; readonly size: number } => {
    const digest = digestOf(bytes);
    blobs.set(digest, bytes);
    return { digest, size: bytes.length };
  };
  const chunks: ChunkBlob[] = [];
  for (let at = 0; at < disk.length; at += chunkSize) {
    const content = disk.subarray(at, at + chunkSize);
    const header = Buffer.from("bv4-\0\0\0\0");
    header.writeUInt32LE(content.length, 4);
    const blob = put(Buffer.concat([header, content, Buffer.from("bv4$")]));
    chunks.push({ ...blob, content: { digest: digestOf(content), size: content.length } });
  }
  const bytes = tartManifest({
    config: put(tartConfig({ os: "linux", architecture: "arm64", diskFormat: "raw" })),
    vmConfig: put(someVmConfig()),
    chunks,
    nvram: put(Buffer.from("nvram")),
    uploadTime: new Date(0),
  });
  return { manifest: parseManifest(bytes) as Manifest, blobs };
}

describe("an imported disk", () => {
  it.each<[string, ImportOptions]>([
    ["blobs are kept", {}],
    ["blobs are kept, without an index", { chunkIndex: false }],
    ["blobs were given up", { discardBlobs: true }],
    ["blobs were given up, without an index", { discardBlobs: true, chunkIndex: false }],
  ])("is in a registry what it was, where its %s", async (_, options) => {
    const { context, disk, result } = await imported(options);
    const { host, url } = await registry();
    const pushed = await pushImage(context, NAME, { to: `${host}/vm:1` });
    expect(pushed).toMatchObject({ digest: result.digest, status: "copied" });
    const found = await fetchDisk(url);
    expect(found.digest).toBe(result.digest);
    expect(found.disk.equals(disk)).toBe(true);
    expect(await indexesAt(url, result.digest)).toHaveLength(options.chunkIndex === false ? 0 : 1);
    expect(await pushImage(context, NAME, { to: `${host}/vm:1` })).toMatchObject({ status: "up-to-date" });
  });

  it("has chunks that are the same once, wherever they are", async () => {
    const context = await transferContext();
    const path = join(context.path, "disk");
    const [chunk, other] = [Buffer.from(noise(MIB, "chunk")), Buffer.from(noise(MIB, "other"))];
    await writeFile(path, Buffer.concat([chunk, other, chunk, Buffer.alloc(MIB), chunk, other]));
    const result = await importDisk(context, path, NAME, { chunkSize: MIB, discardBlobs: true });
    expect(result.chunks).toMatchObject({ count: 6, distinct: 3 });
    const { host, url } = await registry();
    expect((await pushImage(context, NAME, { to: `${host}/vm:1` })).blobs.present).toBe(0);
    expect((await fetchDisk(url)).disk.equals(await readFile(path))).toBe(true);
    const puller = await transferContext();
    await pull(puller, `${host}/vm:1`);
    expect((await readFile(puller.store.disks.pathOf(result.disk.key))).equals(await readFile(path))).toBe(true);
  });

  it("comes back with a pull into another store, which can push it on without the registry that it is from", async () => {
    const { context, disk } = await imported();
    const [first, second] = [await registry(), await registry()];
    await pushImage(context, NAME, { to: `${first.host}/vm:1` });
    const other = await transferContext();
    const pulled = await pull(other, `${first.host}/vm:1`);
    first.clearRequests();
    await pushImage(other, `${first.host}/vm:1`, { to: `${second.host}/vm:1` });
    expect(first.requests.filter(({ path }) => path.includes("/blobs/"))).toEqual([]);
    const found = await fetchDisk(second.url);
    expect(found.digest).toBe(pulled.digest);
    expect(found.disk.equals(disk)).toBe(true);
  });

  it("goes from registry to registry, and through layouts and archives, with its index", async () => {
    const { context, disk, result } = await imported();
    const [first, second] = [await registry(), await registry()];
    await pushImage(context, NAME, { to: `${first.host}/vm:1` });
    const other = await transferContext();
    const layout = `oci:${join(other.path, "layout")}:1`;
    const archive = `oci-archive:${join(other.path, "archive.tar")}:1`;
    await copyImage(other, `docker://${first.host}/vm:1`, layout);
    await copyImage(other, layout, archive);
    await copyImage(other, archive, "example.com/back:1");
    await copyImage(other, "example.com/back:1", `docker://${second.host}/vm:1`);
    const found = await fetchDisk(second.url);
    expect(found.digest).toBe(result.digest);
    expect(found.disk.equals(disk)).toBe(true);
    expect(await indexesAt(second.url, result.digest)).toHaveLength(1);
    const third = await registry();
    await copyImage(other, `docker://${first.host}/vm:1`, `docker://${third.host}/vm:1`);
    expect((await fetchDisk(third.url)).digest).toBe(result.digest);
    expect(await indexesAt(third.url, result.digest)).toHaveLength(1);
  });

  it.each([false, true])("is up to date to a pull where it was imported (blobs given up: %s)", async (discardBlobs) => {
    const started = await registry();
    const name = `${started.host}/vm:1`;
    const { context, result } = await imported({ discardBlobs }, name);
    await pushImage(context, name);
    started.clearRequests();
    expect(await pull(context, name)).toMatchObject({ digest: result.digest, status: "up-to-date" });
    expect(started.requests.map(({ method }) => method)).toEqual(["HEAD"]);
  });

  it("is whole in a layout, where its blobs were given up", async () => {
    const { context, result } = await imported({ discardBlobs: true });
    const layout = `oci:${join(context.path, "layout")}:1`;
    expect(await copyImage(context, NAME, layout)).toMatchObject({ digest: result.digest });
    const other = await transferContext();
    await copyImage(other, layout, "example.com/back:1");
    const { content } = other.store;
    const { layers } = parseManifest(await content.readBytes(result.digest, MIB)) as Manifest;
    for (const { digest, size } of layers) expect(await content.stat(digest)).toMatchObject({ size });
  });

  it("is pushed without its index where a registry takes nothing that refers to an image", async () => {
    const { context, disk, result } = await imported();
    const started = await registry();
    const { host, url } = started;
    started.setQuirks({ subjects: false, referrers: false });
    expect(await pushImage(context, NAME, { to: `${host}/vm:1` })).toMatchObject({ digest: result.digest });
    expect((await fetchDisk(url)).disk.equals(disk)).toBe(true);
    const warnings = context.events.filter((event) => event.type === "warning");
    expect(warnings).toMatchObject([{ message: expect.stringContaining("without the index of its chunks") }]);
    await expect(pushImage(context, NAME, { to: `${host}/vm:2`, referrers: true })).rejects.toMatchObject({
      code: expect.stringMatching(/^(MANIFEST|REGISTRY)/),
    });
  });

  it("is refused where layers are to be compressed another way", async () => {
    const { context } = await imported();
    const { host } = await registry();
    const pushing = pushImage(context, NAME, { to: `${host}/vm:1`, compression: "zstd" });
    await expect(pushing).rejects.toMatchObject({ code: "MEDIA_TYPE_UNSUPPORTED" });
    const converting = convertImage(context, NAME, "example.com/vm:2", { compression: "gzip" });
    await expect(converting).rejects.toMatchObject({ code: "MEDIA_TYPE_UNSUPPORTED" });
  });
});

describe("a pulled disk that others encoded", () => {
  it("goes on from its registry, once the first of its chunks was tried in vain", async () => {
    const image = foreignImage(Buffer.from(noise(450_000, "foreign")));
    const [first, second] = [await registry(), await registry()];
    await pushMachine(first.host, "vm", "1", image);
    const context = await transferContext();
    await pull(context, `${first.host}/vm:1`);
    let encoded = 0;
    const encode: typeof encodersHere.encode = (...args) => {
      encoded++;
      return encodersHere.encode(...args);
    };
    const counting = { ...context, encoders: () => Promise.resolve({ lanes: 1, encode }) };
    first.clearRequests();
    await pushImage(counting, `${first.host}/vm:1`, { to: `${second.host}/vm:1` });
    expect(encoded).toBe(2);
    expect(first.requests.filter(({ method, path }) => method === "GET" && path.includes("/blobs/"))).toHaveLength(5);
    expect((await fetchDisk(second.url)).digest).toBe(image.manifest.digest);
  });

  it("costs its next version only what changed, under the base's blobs", async () => {
    const image = foreignImage(Buffer.from(noise(3 * MIB, "foreign")), MIB);
    const started = await registry();
    await pushMachine(started.host, "vm", "1", image);
    const context = await transferContext();
    const [base, next] = [`${started.host}/vm:1`, `${started.host}/next:2`];
    const path = join(context.path, "disk");
    const disk = await readPulled(await pull(context, base));
    disk.write("changed", MIB + 1000);
    await writeFile(path, disk);
    const result = await importDisk(context, path, next, { chunkSize: MIB, base, sourceDateEpoch: 1 });
    expect(result.chunks).toMatchObject({ count: 3, reused: 2 });
    const pushed = await pushImage(context, next);
    // The changed chunk, its index, three small ones, and what an index has for a config.
    expect(pushed.blobs).toMatchObject({ mounted: 2, copied: 6 });
    expect(pushed.bytes.sent).toBeLessThan(1.2 * MIB);
    const puller = await transferContext();
    expect((await readPulled(await pull(puller, next))).equals(disk)).toBe(true);
    const layout = `oci:${join(context.path, "layout")}:1`;
    expect(await copyImage(context, next, layout)).toMatchObject({ digest: result.digest });
    const more = { chunkSize: MIB, base: next, discardBlobs: true };
    const again = await importDisk(context, path, `${started.host}/next:3`, more);
    expect(again.chunks).toMatchObject({ count: 3, reused: 3 });
    expect(again.chunkIndex).not.toBeNull();
  });

  it("is no base for what its manifest only says of its blobs", async () => {
    const disk = Buffer.from(noise(2 * MIB, "base"));
    const honest = tartImage(disk, { chunkSizes: [MIB] });
    const lying = tartImage(disk, { chunkSizes: [MIB], holds: (content) => Buffer.from(content.toReversed()) });
    for (const [image, reused] of [
      [honest, 2],
      [lying, 0],
    ] as const) {
      const context = await transferContext();
      await putTartImage(context.store, "example.com/base:1", image, { chunks: true });
      const path = join(context.path, "disk");
      await writeFile(path, disk);
      const result = await importDisk(context, path, NAME, { chunkSize: MIB, base: "example.com/base:1" });
      expect(result.chunks).toMatchObject({ count: 2, reused });
    }
    const context = await transferContext();
    await putTartImage(context.store, "example.com/base:1", honest, { chunks: false });
    const path = join(context.path, "disk");
    await writeFile(path, disk);
    const result = await importDisk(context, path, NAME, { chunkSize: MIB, base: "example.com/base:1" });
    expect(result.chunks.reused).toBe(0);
  });

  it("says nothing of blobs that were read before", async () => {
    const { layers } = (await transferContext()).store;
    const blob = { mediaType: "application/vnd.oci.image.layer.v1.tar", digest: digestOf("blob"), size: 4 };
    const facts = { ...blob, uncompressedSize: 10, entries: 1 };
    await layers.put({ ...facts, diffId: digestOf("found"), verifiedAt: new Date(1000), discardedAt: new Date(2000) });
    const claim = { diffId: digestOf("claimed"), size: 99, entries: 0 };
    await recordGivenUp({ layers } as Store, blob, claim);
    expect(await layers.get(blob.digest)).toMatchObject({ diffId: digestOf("found"), verifiedAt: new Date(1000) });
  });

  it("is not made of a disk that went bad", async () => {
    const { host } = await registry();
    const name = `${host}/never/pushed:1`;
    const { context, result } = await imported({ discardBlobs: true }, name);
    await chmod(result.disk.path, 0o600);
    {
      await using file = await open(result.disk.path, "r+");
      await file.write(Buffer.from("bad luck"), 0, 8, 1000);
    }
    const pushing = pushImage(context, name, { to: `${host}/vm:1` });
    await expect(pushing).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
  });
});
