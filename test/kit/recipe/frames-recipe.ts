/** Recipes with frames of a compressed blob among segments of other kinds, with the bytes they must come to. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { AppleLz4Encoder } from "../../../src/codec/apple-lz4/encoder.ts";
import { lz4Frame } from "../../codec/apple-lz4/frames.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import type { FramesSegment, Recipe, Segment } from "../../../src/recipe/segment.ts";
import { MemoryBlobs, type MemoryBlobsOptions } from "./memory-blobs.ts";
import { noise } from "./random-recipe.ts";

/** A segment before it has bytes. */
export interface FramesSketch {
  readonly kind: "frames" | "local" | "data" | "zero";
  readonly length: number;
  readonly checked: boolean;
  /** How many frames make it, of those segments that are made of frames. */
  readonly frames: number;
  /** Decompressed bytes before and behind those that are wanted. */
  readonly skip: number;
  readonly rest: number;
  /** Bytes of the blob before its frames that nobody wants. */
  readonly gap: number;
}

export interface FramesKitchen {
  readonly bytes: Uint8Array;
  readonly segments: readonly Segment[];
  readonly recipe: Recipe;
  readonly blobs: MemoryBlobs;
}

export const framesSketches = (longest: number): fc.Arbitrary<FramesSketch[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom("frames", "frames", "local", "data", "zero"),
      length: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 300 }), fc.nat({ max: longest })),
      checked: fc.boolean(),
      frames: fc.integer({ min: 1, max: 3 }),
      skip: fc.oneof(fc.constant(0), fc.constant(0), fc.nat({ max: 1000 })),
      rest: fc.oneof({ arbitrary: fc.constant(0), weight: 5 }, { arbitrary: fc.nat({ max: 400_000 }), weight: 1 }),
      gap: fc.constantFrom(0, 0, 1, 40, 150, 3000),
    }),
    { maxLength: 40 },
  );

/** The same bytes for the same seed, a quarter of which has to be said. */
export function repetitive(length: number, seed: string): Uint8Array {
  const word = noise(Math.ceil(length / 4), seed);
  return Buffer.concat([word, word, word, word]).subarray(0, length);
}

export function compressedFrames(bytes: Uint8Array, codec: FramesSegment["codec"], count = 1): Buffer {
  const each = Math.ceil(bytes.length / count);
  const parts = Array.from({ length: count }, (_, index) => bytes.subarray(index * each, (index + 1) * each));
  if (codec === "lz4-frames") return Buffer.concat(parts.map((part) => lz4Frame(appleLz4Blocks([part]))));
  if (codec === "apple-lz4") return appleLz4Blocks(parts);
  return Buffer.concat(parts.map((part) => (codec === "zstd" ? zstdCompressSync(part) : gzipSync(part, { level: 1 }))));
}

/** Nothing refers to what is before a part; every other one ends its stream. */
function appleLz4Blocks(parts: readonly Uint8Array[]): Buffer {
  const pieces: Buffer[] = [];
  const take = (lent: Iterable<Uint8Array>): void => {
    for (const piece of lent) pieces.push(Buffer.from(piece));
  };
  for (const [index, part] of parts.entries()) {
    const encoder = new AppleLz4Encoder();
    take(encoder.write(part));
    take(index % 2 === 0 ? encoder.end() : encoder.cut());
  }
  return Buffer.concat(pieces);
}

export async function cookFrames(
  dir: string,
  plan: readonly FramesSketch[],
  { codec = "zstd", gapBytes, ...options }: MemoryBlobsOptions & Partial<Pick<FramesSegment, "codec"> & Recipe> = {},
): Promise<FramesKitchen> {
  const frames: Uint8Array[] = [];
  const starts: number[] = [];
  const locals: Uint8Array[] = [];
  let [blobSize, localSize] = [0, 0];
  const wanted = plan.map(({ kind, length }, index) =>
    kind === "zero" ? new Uint8Array(length) : repetitive(length, `part ${index} of ${length}`),
  );
  for (const [index, { kind, frames: count, skip, rest, gap }] of plan.entries()) {
    starts.push(kind === "frames" ? blobSize + gap : localSize);
    if (kind === "local") localSize += locals[locals.push(wanted[index]!) - 1]!.length;
    if (kind !== "frames") continue;
    const made = Buffer.concat([noise(skip, "skip"), wanted[index]!, noise(rest, "rest")]);
    const compressed = compressedFrames(made, codec, count);
    frames.push(noise(gap, "gap"), compressed);
    blobSize += gap + compressed.length;
  }
  const blobs = new MemoryBlobs(options);
  const blob = blobs.add(Buffer.concat([...frames, noise(9)]));
  const path = join(dir, `local-${localSize}-${plan.length}`);
  await writeFile(path, Buffer.concat(locals));
  const ends = [...starts.keys()].filter((index) => plan[index]!.kind === "frames");
  const segments = plan.map(({ kind, length, checked, skip, rest }, index): Segment => {
    const digest = checked ? { digest: digestOf(wanted[index]!) } : {};
    const start = starts[index]!;
    switch (kind) {
      case "frames": {
        const next = ends[ends.indexOf(index) + 1];
        const end = next === undefined ? blobSize : starts[next]! - plan[next]!.gap;
        const around = { ...(skip > 0 && { skip }), ...(rest > 0 && { rest: true }) };
        return { kind, blob, start, length: end - start, codec, size: length, ...around, ...digest };
      }
      case "local":
        return { kind, path, start, length, ...digest };
      case "data":
        return { kind, bytes: wanted[index]! };
      case "zero":
        return { kind, length };
    }
  });
  const bytes = Buffer.concat(wanted);
  const target = { digest: digestOf(bytes), size: bytes.length };
  return { bytes, segments, recipe: { target, segments, ...(gapBytes !== undefined && { gapBytes }) }, blobs };
}
