/** Images of virtual machines are pulled: what moves, what stays holes, and what is found here, to the byte. */
import { readFile, stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { machineBench, type PullRun } from "../../../test/kit/disk/machine-bench.ts";
import { tartImage, type TartImage } from "../../../test/kit/disk/tart-image.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
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
    expect(result.disks![0]!.allocatedBytes).toBeLessThan(4 * CHUNK);
  });
});
