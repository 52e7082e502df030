/** Frames that are not what the recipe takes them for: a coded error that names them, little memory, and another plan goes on. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { constants, createZstdCompress, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { FileIngest } from "../../test/kit/recipe/file-ingest.ts";
import { compressedFrames } from "../../test/kit/recipe/frames-recipe.ts";
import { MemoryBlobs } from "../../test/kit/recipe/memory-blobs.ts";
import { noise } from "../../test/kit/recipe/random-recipe.ts";
import { tempDir, type TempDir } from "../../test/kit/temp-dir.ts";
import type { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import { assemble } from "./assembler.ts";
import { followFront } from "./follow-front.ts";
import type { FramesSegment, Recipe, Segment } from "./segment.ts";

const SMALL = 4 * 3 * (64 << 10);
const MIB = 1 << 20;

let dir: TempDir;
beforeAll(async () => void (dir = await tempDir()));
afterAll(() => dir[Symbol.asyncDispose]());

let files = 0;
const open = (recipe: Recipe): Promise<FileIngest> =>
  FileIngest.open({ path: join(dir.path, `ingest-${files++}`), ...recipe.target });

type Codec = FramesSegment["codec"];
type Spoil = (good: Uint8Array, codec: Codec) => Promise<Uint8Array> | Uint8Array;

const compress = (bytes: Uint8Array, codec: Codec): Buffer => compressedFrames(bytes, codec);

async function wideWindow(bytes: Uint8Array): Promise<Buffer> {
  const codec = createZstdCompress({ params: { [constants.ZSTD_c_windowLog]: 27 } });
  const chunks = Array.fromAsync(codec as AsyncIterable<Buffer>);
  codec.write(bytes);
  codec.end();
  return Buffer.concat(await chunks);
}

/** Each takes the good bytes of frames, and gives what is in their place in the blob. */
const SPOILT: Readonly<Record<string, Spoil>> = {
  "a bomb": (_, codec) => compress(new Uint8Array(64 * MIB), codec),
  "a byte too few": (good, codec) => compress(good.subarray(1), codec),
  "a byte too many": (good, codec) => compress(Buffer.concat([good, good.subarray(0, 1)]), codec),
  "other bytes": (good, codec) => compress(Uint8Array.from(good).toReversed(), codec),
  "no frame": (good) => noise(good.length, "garbage"),
  "a frame cut off": (good, codec) => compress(good, codec).subarray(0, -5),
  "a frame cut off within its magic": (_, codec) => compress(new Uint8Array(), codec).subarray(0, 2),
  "nothing but an empty frame": (_, codec) => compress(new Uint8Array(), codec),
  "a frame and garbage": (good, codec) => Buffer.concat([compress(good.subarray(9), codec), noise(50)]),
  "frames of another kind": (good, codec) => compress(good, codec === "zstd" ? "gzip" : "zstd"),
  "a window that is too wide": (good, codec) =>
    codec === "zstd" ? wideWindow(good) : compress(good.subarray(2), codec),
};

interface Scene {
  readonly recipe: Recipe;
  /** The same bytes in another way. */
  readonly other: Recipe;
  readonly bytes: Uint8Array;
  readonly blobs: MemoryBlobs;
}

/** Frames of which those in the middle are spoilt, with literals between. */
async function scene(
  codec: Codec,
  spoil: Spoil,
  length: number,
  isChecked: (index: number) => boolean = () => true,
): Promise<Scene> {
  const parts = Array.from({ length: 12 }, (_, index) => noise(length + index, `part ${index}`));
  const bytes = Buffer.concat(parts);
  const frames: Uint8Array[] = [];
  const segments: Segment[] = [];
  const blobs = new MemoryBlobs();
  let at = 0;
  const blob = { mediaType: "application/octet-stream", digest: digestOf(""), size: 0 };
  for (const [index, part] of parts.entries()) {
    if (index % 3 === 0) {
      segments.push({ kind: "data", bytes: part });
      continue;
    }
    const made = index === 5 ? await spoil(part, codec) : compress(part, codec);
    const digest = isChecked(index) ? { digest: digestOf(part) } : {};
    segments.push({ kind: "frames", blob, start: at, length: made.length, codec, size: part.length, ...digest });
    frames.push(made);
    at += made.length;
  }
  Object.assign(blob, blobs.add(Buffer.concat(frames)));
  const whole = blobs.add(bytes);
  const target = { digest: whole.digest, size: bytes.length };
  const other = { target, segments: [{ kind: "remote", blob: whole, start: 0, length: whole.size } as const] };
  return { recipe: { target, segments }, other, bytes, blobs };
}

const cases = Object.keys(SPOILT).flatMap((name) =>
  (["zstd", "gzip", "apple-lz4"] as const).map((codec) => [name, codec] as const),
);

const WHOLE = { code: "DIGEST_MISMATCH", detail: { whole: true } };

describe("frames that lie", () => {
  it.each(cases)("are named, and nothing of them is kept: %s instead of %s", async (name, codec) => {
    for (const length of [500, 30_000, 150_000]) {
      const { recipe, blobs, bytes } = await scene(codec, SPOILT[name]!, length);
      await using ingest = await open(recipe);
      const error: unknown = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL }).catch(
        (error: unknown) => error,
      );
      expect(error).toMatchObject({
        code: expect.stringMatching(/^(COMPRESSION_INVALID|SIZE_MISMATCH|DIGEST_MISMATCH)$/),
        detail: { segment: { kind: "frames" }, position: expect.any(Number) },
      });
      for (const { start, end } of ingest.done) {
        expect(Buffer.compare(await ingest.read(start, end - start), bytes.subarray(start, end))).toBe(0);
      }
      expect(ingest.discarded).toBe(false);
      expect(blobs.active).toBe(0);
    }
  });

  it.each(cases)("give way to another plan, and followers notice nothing: %s instead of %s", async (name, codec) => {
    const { recipe, other, bytes, blobs } = await scene(codec, SPOILT[name]!, 20_000);
    await using ingest = await open(recipe);
    const following = Array.fromAsync(followFront(ingest, { chunkSize: 10_000 }));
    const seen: VarveError[] = [];
    const replan = (error: VarveError) => {
      seen.push(error);
      return { recipe: other, from: "zstd-chunked" };
    };
    const report = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL, replan });
    expect(Buffer.compare(Buffer.concat(await following), bytes)).toBe(0);
    expect(report).toMatchObject({ ...recipe.target, fallbacks: [{ from: "zstd-chunked" }] });
    expect(seen).toHaveLength(1);
  });

  it.each(cases)("are found at the next piece with a digest: %s instead of %s", async (name, codec) => {
    const { recipe, other, bytes, blobs } = await scene(codec, SPOILT[name]!, 500, (index) => index % 2 === 0);
    await using ingest = await open(recipe);
    const replan = () => ({ recipe: other, from: "zstd-chunked" });
    const assembling = assemble(recipe, { ingest, blobs, memoryBytes: SMALL, replan });
    // Other bytes of the same length are found at the end only, when nobody knows which are bad.
    if (name === "other bytes") await expect(assembling).rejects.toMatchObject(WHOLE);
    else expect(await assembling).toMatchObject({ ...recipe.target, fallbacks: [{ from: "zstd-chunked" }] });
    if (name !== "other bytes") expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
  });

  it.each(cases)("never make a wrong layer where no piece has a digest: %s instead of %s", async (name, codec) => {
    const { recipe, other, bytes, blobs } = await scene(codec, SPOILT[name]!, 20_000, () => false);
    await using ingest = await open(recipe);
    const replan = () => ({ recipe: other, from: "zstd-chunked" });
    const error: unknown = await assemble(recipe, { ingest, blobs, memoryBytes: SMALL, replan }).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (error !== undefined) expect(error).toMatchObject(WHOLE);
    else expect(Buffer.compare(await readFile(ingest.path), bytes)).toBe(0);
    expect(ingest.discarded).toBe(error !== undefined);
  });

  it("take no more memory than honest ones", async () => {
    const bomb = await Array.fromAsync(bombOf(1 << 30) as AsyncIterable<Buffer>);
    const size = 1000;
    const blobs = new MemoryBlobs();
    const blob = blobs.add(Buffer.concat(bomb));
    const segments: Segment[] = Array.from({ length: 3 }, () => {
      return { kind: "frames", blob, start: 0, length: blob.size, codec: "zstd", size, rest: true };
    });
    const recipe: Recipe = { target: { digest: digestOf(new Uint8Array(3 * size)), size: 3 * size }, segments };
    await using ingest = await open(recipe);
    const before = process.memoryUsage.rss();
    await assemble(recipe, { ingest, blobs });
    const [segment] = segments as FramesSegment[];
    const exact = { ...recipe, segments: [{ ...segment!, size: 3 * size, rest: false }] };
    await using again = await open(recipe);
    await expect(assemble(exact, { ingest: again, blobs })).rejects.toMatchObject({ code: "SIZE_MISMATCH" });
    expect(process.memoryUsage.rss() - before).toBeLessThan(200 * MIB);
  });

  it("stop when the pull is stopped", async () => {
    const stop = new AbortController();
    const { recipe, blobs } = await scene("zstd", (good) => zstdCompressSync(good), 100_000);
    await using ingest = await open(recipe);
    const source = {
      async *readBlob(...asked: Parameters<MemoryBlobs["readBlob"]>) {
        for await (const chunk of blobs.readBlob(...asked)) {
          yield chunk;
          stop.abort();
        }
      },
    };
    await expect(assemble(recipe, { ingest, blobs: source, signal: stop.signal })).rejects.toMatchObject({
      code: "INTERRUPTED",
    });
    await expect.poll(() => blobs.active).toBe(0);
  });
});

function bombOf(bytes: number): AsyncIterable<unknown> {
  const codec = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 1 } });
  const zeros = new Uint8Array(MIB);
  const feed = async (): Promise<void> => {
    for (let left = bytes; left > 0; left -= MIB) {
      await new Promise<void>((resolve) => codec.write(zeros, () => resolve()));
    }
    codec.end();
  };
  void feed();
  return codec;
}
