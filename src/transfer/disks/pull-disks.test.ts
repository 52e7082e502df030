/** Images of virtual machines are pulled: what moves, what stays holes, and what is found here, to the byte. */
import { readFile, stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { machineBench, type PullRun } from "../../../test/kit/disk/machine-bench.ts";
import { tartImage, type TartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { noBytes } from "../../recipe/bytes.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";

const CHUNK = 256 << 10;
const random = (seed: string, bytes = CHUNK): Buffer => Buffer.from(noise(bytes, seed));
const zeros = (bytes = CHUNK): Buffer => Buffer.alloc(bytes);
const machine = (...chunks: readonly Buffer[]): TartImage =>
  tartImage(Buffer.concat(chunks), { chunkSizes: chunks.map(({ length }) => length) });

/** Bytes of the blobs of the chunks with these numbers. */
function blobBytes({ manifest }: TartImage, ...numbers: readonly number[]): number {
  const [disk] = readDiskImage(manifest)!.disks;
  if (disk?.kind !== "chunks") throw new Error("no chunks");
  return numbers.reduce((sum, number) => sum + disk.chunks[number]!.blob.size, 0);
}

function otherBytes({ manifest }: TartImage): number {
  const { layers, config } = manifest;
  return manifest.bytes.length + config.size + layers[0]!.size + layers.at(-1)!.size;
}

async function expectDisk({ disks }: PullRun, bytes: Buffer): Promise<void> {
  const { path, size, allocatedBytes } = disks![0]!;
  expect(size).toBe(bytes.length);
  expect((await readFile(path!)).equals(bytes)).toBe(true);
  expect((await stat(path!)).blocks * 512).toBe(allocatedBytes);
}

/** What a plan has to tell beforehand. */
const moved = ({ bytes, layers, disks }: PullRun): unknown => ({
  bytes,
  disks: disks!.map((disk) => ({ bytes: disk.bytes, requests: disk.requests })),
  layers: layers.map((layer) => ({
    digest: layer.digest,
    how: layer.how,
    bytes: layer.bytes,
    requests: layer.requests,
  })),
});

describe("a machine's image that is pulled", () => {
  it("becomes a raw disk with holes, of which zeros are never fetched and equal chunks once", async () => {
    const image = machine(random("a"), zeros(), random("b"), random("a"), zeros(), random("c", 1000));
    const { push, pull } = await machineBench();
    await push("1", image);
    const result = await pull("1");
    expect(result).toMatchObject({ status: "pulled", platform: null, warnings: [], chainId: null });
    await expectDisk(result, image.disk);
    expect(result.bytes).toMatchObject({
      network: otherBytes(image) + blobBytes(image, 0, 2, 5),
      local: CHUNK,
      zero: 2 * CHUNK,
    });
    const { allocatedBytes, bytes, requests } = result.disks![0]!;
    expect(allocatedBytes).toBeLessThan(4 * CHUNK);
    const network = blobBytes(image, 0, 2, 5);
    expect(bytes).toEqual({ network, local: CHUNK, data: 0, zero: 2 * CHUNK, copied: CHUNK });
    expect(requests).toBe(3);
    expect(result.layers.map(({ how }) => how)).toEqual(["full", ...Array<string>(6).fill("disk"), "full"]);
  });

  it("costs one request when it is here, and writes nothing", async () => {
    const image = machine(random("a"), zeros());
    const { push, pull, registry } = await machineBench();
    await push("1", image);
    const first = await pull("1");
    const again = await pull("1");
    expect(again).toMatchObject({ status: "up-to-date", requests: 1, bytes: { total: 0 }, resumedBytes: 0 });
    expect(registry.requests.map(({ method }) => method)).toEqual(["HEAD"]);
    const bytes = { ...noBytes(), copied: 0 };
    expect(again.disks).toEqual(first.disks!.map((disk) => Object.assign(disk, { bytes, requests: 0 })));
    expect(again.layers.map(({ diffId }) => diffId)).toEqual(first.layers.map(({ diffId }) => diffId));
    expect(again.layers.every(({ how }) => how === "present")).toBe(true);
  });

  it("is here too when all its blobs are", async () => {
    const image = machine(random("a"), zeros());
    const { push, pull } = await machineBench();
    await push("1", image);
    expect(await pull("1", { unpack: false })).toMatchObject({ status: "pulled" });
    const again = await pull("1");
    expect(again).toMatchObject({ status: "up-to-date", requests: 1, disks: [{ path: null, size: 2 * CHUNK }] });
  });

  it("takes from disks that are here what they hold, wherever it lies", async () => {
    const before = machine(random("a"), random("b"), random("c"), zeros(7));
    const after = machine(zeros(), random("c"), random("changed"), random("a"));
    const { push, pull } = await machineBench();
    await push("1", before);
    await push("2", after);
    await pull("1");
    const planned = await pull("2", { plan: true });
    const result = await pull("2");
    await expectDisk(result, after.disk);
    const { digest, size } = after.manifest.layers[3]!;
    expect(result.layers.find((layer) => layer.digest === digest)).toMatchObject({ bytes: { network: size } });
    expect(result.bytes).toMatchObject({ local: 2 * CHUNK, zero: CHUNK });
    expect(moved(planned)).toEqual(moved(result));
    // Of the rest only the documents differ, and the registry was asked for indexes of chunks.
    const rest = result.bytes.network - after.manifest.bytes.length - size;
    expect(rest).toBeGreaterThan(0);
    expect(rest).toBeLessThan(200);
  });

  it("has chunks of any sizes, and no block of a disk that is zeros", async () => {
    const sparse = Buffer.concat([random("a", 70_001), zeros(200_003), random("b", 5000)]);
    const image = tartImage(Buffer.concat([sparse, sparse]), { chunkSizes: [50_001, 99_999, 131_075] });
    const { push, pull } = await machineBench();
    await push("1", image);
    const planned = await pull("1", { plan: true });
    const result = await pull("1");
    await expectDisk(result, image.disk);
    expect(result.disks![0]!.allocatedBytes).toBeLessThan(2 * 75_001 + 40_000);
    expect(moved(planned)).toEqual(moved(result));
  });

  it("is made of the blobs that the store has", async () => {
    const image = machine(random("a"), zeros(), random("b"));
    const { push, pull } = await machineBench();
    await push("1", image);
    await pull("1", { unpack: false });
    await push("2", image);
    const planned = await pull("2", { plan: true });
    const result = await pull("2");
    await expectDisk(result, image.disk);
    expect(result.bytes).toMatchObject({ network: 0, local: 2 * CHUNK, zero: CHUNK });
    expect(moved(planned)).toEqual(moved(result));
  });
});
