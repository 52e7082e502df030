/** Recipes of all kinds of segments, with the bytes they must come to. */
import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { Recipe, Segment } from "../../../src/recipe/segment.ts";
import type { ByteRange } from "../../../src/store/types.ts";
import { MemoryBlobs, type MemoryBlobsOptions } from "./memory-blobs.ts";

/** A segment before it has bytes. */
export interface Sketch {
  readonly kind: "remote" | "local" | "data" | "zero";
  readonly length: number;
  /** Whether the segment carries its digest. */
  readonly checked: boolean;
}

export interface Kitchen {
  readonly bytes: Uint8Array;
  readonly segments: readonly Segment[];
  readonly recipe: Recipe;
  readonly blobs: MemoryBlobs;
  /** Place of each segment in the target. */
  readonly places: readonly ByteRange[];
  readonly localPath: string;
}

export const sketches = (longest: number): fc.Arbitrary<Sketch[]> =>
  fc.array(
    fc.record({
      kind: fc.constantFrom("remote", "local", "data", "zero"),
      length: fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: longest })),
      checked: fc.boolean(),
    }),
    { maxLength: 24 },
  );

/** The same bytes for the same seed. */
export function noise(length: number, seed = "noise"): Uint8Array {
  return createHash("shake256", { outputLength: Math.max(1, length) })
    .update(seed)
    .digest()
    .subarray(0, length);
}

/** Makes the blob and the local file that the sketches need; both have bytes between that no segment wants. */
export async function cook(
  dir: string,
  plan: readonly Sketch[],
  options: MemoryBlobsOptions & { readonly algorithm?: "sha256" | "sha512" } = {},
): Promise<Kitchen> {
  const total = plan.reduce((sum, { length }) => sum + length, 0);
  const source = noise(total + 7 * plan.length, `source ${total}`);
  const blobs = new MemoryBlobs(options);
  const blob = blobs.add(source);
  const localPath = join(dir, `local-${total}-${plan.length}`);
  await writeFile(localPath, source);
  const parts: Uint8Array[] = [];
  const places: ByteRange[] = [];
  let at = 0;
  let position = 0;
  const segments = plan.map(({ kind, length, checked }): Segment => {
    const start = at;
    const bytes = kind === "zero" ? new Uint8Array(length) : source.subarray(start, start + length);
    at += length + (length % 7);
    parts.push(bytes);
    places.push({ start: position, end: position + length });
    position += length;
    const digest = checked ? { digest: digestOf(bytes) } : {};
    switch (kind) {
      case "remote":
        return { kind, blob, start, length, ...digest };
      case "local":
        return { kind, path: localPath, start, length, ...digest };
      case "data":
        return { kind, bytes };
      case "zero":
        return { kind, length };
    }
  });
  const bytes = Buffer.concat(parts);
  const digest: Digest = digestOf(bytes, options.algorithm);
  return { bytes, segments, recipe: { target: { digest, size: bytes.length }, segments }, blobs, places, localPath };
}
