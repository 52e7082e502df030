/**
 * Pieces of the contents of disks that are held: cut as the index of a chunk is (codec/disk-index), holes passed over without reading them. First the
 * contents that lie where wanted ones do, then all others, as long as there is a budget.
 */
import { hash } from "node:crypto";
import { DiskChunker, type DiskPiece } from "../../codec/disk-index/disk-chunker.ts";
import type { Extent } from "../../sys/sparse.ts";
import type { CutOptions } from "./cut-files.ts";
import type { HeldContent } from "./held-content.ts";
import { DISK_CUT } from "./known-file.ts";
import type { LayerIndex } from "./layer-index.ts";
import { FILE_WORDS, refAt, sizeAt, startAt } from "./rows.ts";
import type { WantedSet } from "./wanted-set.ts";

export interface CutDiskOptions extends CutOptions {
  readonly wanted: WantedSet;
  /** Which rows of the words are to be looked at. */
  readonly isWanted: (row: number) => boolean;
}

/** Cuts contents among these rows of a disk, and looks for what is wanted of them. @throws NodeJS.ErrnoException, the signal's reason */
export async function cutDisk(words: Uint32Array, { known }: LayerIndex, options: CutDiskOptions): Promise<void> {
  const { budget, content, wanted, source, isWanted } = options;
  for (let row = 0; row < words.length && !wanted.isComplete; row += FILE_WORDS) {
    const [ref, start, size] = [refAt(words, row), startAt(words, row), sizeAt(words, row)];
    if (known.cutOf(ref, start) === DISK_CUT || !isWanted(row)) continue;
    const extents = await content.dataWithin(ref, start, size);
    const bytes = extents.reduce((sum, { length }) => sum + length, 0);
    if (budget.bytes < bytes) continue;
    budget.bytes -= bytes;
    const chunker = new DiskChunker(start);
    let from = start;
    let isWhole = true;
    const take = (pieces: Iterable<DiskPiece>): void => {
      for (const { size: length, bytes: data } of pieces) {
        if (data !== undefined) {
          const digest = hash("sha256", data, "buffer");
          known.add(length, ref, from, digest);
          wanted.match(length, digest, { source, ref, start: from });
        }
        from += length;
      }
    };
    for await (const part of runsOf(content, extents, { ref, start, size })) {
      if (part === "short") isWhole = false;
      else take(typeof part === "number" ? chunker.skip(part) : chunker.write(part));
    }
    take(chunker.end());
    if (isWhole) known.addCut(ref, start, DISK_CUT);
  }
}

/** The bytes of a content, and the lengths of its holes, in order; `short` where a device has fewer bytes than it had. */
async function* runsOf(
  content: HeldContent,
  extents: readonly Extent[],
  { ref, start, size }: { readonly ref: number; readonly start: number; readonly size: number },
): AsyncGenerator<Buffer | number | "short", void, undefined> {
  let at = start;
  for (const { offset, length } of extents) {
    if (offset > at) yield offset - at;
    let done = 0;
    for await (const bytes of content.read(ref, offset, length)) {
      yield bytes;
      done += bytes.length;
    }
    if (done < length) return yield "short";
    at = offset + length;
  }
  if (at < start + size) yield start + size - at;
}
