/** Chunks of a disk become blobs that any decoder reads, whatever of it is holes; the same bytes always become the same blob. */
import { open, readFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { decodePlainly } from "../../../test/codec/apple-lz4/reference.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestOf } from "../../oci/digest.ts";
import type { Extent } from "../../sys/sparse.ts";
import { checkChunkSize, chunksOf, dataRuns } from "./chunk-plan.ts";
import { encodeChunk, type ChunkEncoding } from "./encode-chunk.ts";

/** A disk with runs of data, and what it reads as. */
async function writeDisk(path: string, size: number, runs: readonly Extent[]): Promise<Buffer> {
  await using file = await open(path, "w");
  await file.truncate(size);
  for (const { offset, length } of runs)
    await file.write(Buffer.from(noise(length, `run ${offset}`)), 0, length, offset);
  return readFile(path);
}

describe("encodeChunk", () => {
  it.each<ChunkEncoding>(["plain", "indexed"])("makes the same %s blob of holes as of zeros", async (encoding) => {
    await using dir = await tempDir();
    const [path, blobPath] = [join(dir.path, "disk"), join(dir.path, "blob")];
    const runs = [
      { offset: 0, length: 5000 },
      { offset: 1_310_720, length: 300_000 },
      { offset: 2_621_440, length: 7 },
    ];
    const size = 3_000_001;
    const bytes = await writeDisk(path, size, runs);
    await using disk = await open(path);
    await using output = await open(blobPath, "w");
    const sparse = await encodeChunk(disk.fd, { offset: 0, size, runs }, { encoding, output: output.fd });
    const dense = await encodeChunk(disk.fd, { offset: 0, size, runs: [{ offset: 0, length: size }] }, { encoding });
    expect(sparse).toEqual(dense);
    expect(sparse.content).toEqual({ digest: digestOf(bytes), size });
    const blob = await readFile(blobPath);
    expect(sparse).toMatchObject({ digest: digestOf(blob), size: blob.length });
    expect(decodePlainly(blob)?.equals(bytes)).toBe(true);
    expect(sparse.index !== undefined).toBe(encoding === "indexed");
  });

  it("makes the same blob of a chunk wherever in the disk it lies", async () => {
    await using dir = await tempDir();
    const [first, second, length] = [0, 1 << 20, 200_000];
    const path = join(dir.path, "disk");
    const bytes = noise(length, "content");
    {
      await using file = await open(path, "w");
      for (const offset of [first, second]) await file.write(bytes, 0, length, offset);
    }
    await using disk = await open(path);
    const [one, two] = await Promise.all(
      [first, second].map((offset) => encodeChunk(disk.fd, { offset, size: length, runs: [{ offset, length }] })),
    );
    expect(one).toEqual(two);
  });

  it("says so when the disk has become shorter, and stops when it is told to", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "disk");
    await writeDisk(path, 1000, []);
    await using disk = await open(path);
    const chunk = { offset: 0, size: 2000, runs: [{ offset: 0, length: 2000 }] };
    await expect(encodeChunk(disk.fd, chunk)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    const signal = AbortSignal.abort(new Error("enough"));
    await expect(encodeChunk(disk.fd, chunk, { signal })).rejects.toThrow("enough");
  });
});

describe("chunksOf", () => {
  it("gives each byte of the disk and each run of data to one chunk", () => {
    const KIB = 1024;
    const gap = fc.integer({ min: 1, max: 3000 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(gap, gap), { maxLength: 30 }),
        gap,
        fc.constantFrom(256, 1024),
        (parts, tail, chunk) => {
          const extents: Extent[] = [];
          let at = 0;
          for (const [hole, data] of parts) {
            extents.push({ offset: at + hole * KIB, length: data * KIB });
            at += (hole + data) * KIB;
          }
          const size = at + tail;
          const chunks = [...chunksOf(size, extents, chunk * KIB)];
          expect(chunks.map(({ offset }) => offset)).toEqual(chunks.map((_, index) => index * chunk * KIB));
          expect(chunks.reduce((sum, one) => sum + one.size, 0)).toBe(size);
          for (const { offset, size: length, runs } of chunks) {
            let last = offset;
            for (const run of runs) {
              expect(run.offset).toBeGreaterThanOrEqual(last);
              expect(run.length).toBeGreaterThan(0);
              last = run.offset + run.length;
            }
            expect(last).toBeLessThanOrEqual(offset + length);
          }
          const runs = chunks.flatMap((one) => one.runs);
          const bytesOf = (list: readonly Extent[]): number => list.reduce((sum, one) => sum + one.length, 0);
          expect(bytesOf(runs)).toBe(bytesOf(extents));
          for (const { offset, length } of extents) {
            for (const edge of [offset, offset + length - 1]) {
              expect(runs.some((run) => run.offset <= edge && edge < run.offset + run.length)).toBe(true);
            }
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it("is given what is near to each other as one", async () => {
    const { signal } = new AbortController();
    const extents = Array.from({ length: 5000 }, (_, at) => ({
      offset: at * 100_000,
      length: at % 3 === 0 ? 10 : 90_000,
    }));
    const runs = await dataRuns(extents, signal);
    expect(runs.length).toBeLessThan(extents.length);
    for (const { offset, length } of extents) {
      expect(runs.some((run) => run.offset <= offset && offset + length <= run.offset + run.length)).toBe(true);
    }
    expect(
      runs.every((run, at) => at === 0 || run.offset - runs[at - 1]!.offset - runs[at - 1]!.length >= 64 << 10),
    ).toBe(true);
    await expect(dataRuns(extents, AbortSignal.abort(new Error("enough")))).rejects.toThrow("enough");
  });

  it.each([0, 1 << 19, (1 << 20) + 4096, 2 ** 30 + 65_536, Number.NaN])("takes no chunks of %d bytes", (bytes) => {
    expect(() => checkChunkSize(bytes)).toThrow(expect.objectContaining({ code: "USAGE" }));
  });
});
