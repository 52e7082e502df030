/** Pieces in the order of the blob. Writers list them so already, but readers must not rely on it (formats "zstd-chunked" §1.3). */
import { VarveError } from "../../errors/varve-error.ts";
import type { TocPieces } from "./toc-pieces.ts";

/** Whole files, in the order in which their frames lie in the blob; their chunks are left out. */
export function* inBlobOrder(pieces: TocPieces): Generator<number, void, undefined> {
  if (isSorted(pieces)) yield* files(pieces);
  else yield* Uint32Array.from(files(pieces)).sort((a, b) => pieces.offset(a) - pieces.offset(b));
}

/** Files that share frames would be fetched and decoded any number of times over. @throws TOC_INVALID */
export function checkApart(pieces: TocPieces): void {
  let end = 0;
  for (const piece of inBlobOrder(pieces)) {
    if (pieces.offset(piece) < end)
      throw new VarveError(
        "TOC_INVALID",
        "the layer's table of contents has files that overlap each other in the blob",
      );
    end = pieces.end(piece);
  }
}

function isSorted(pieces: TocPieces): boolean {
  let before = -1;
  for (const piece of files(pieces)) {
    const offset = pieces.offset(piece);
    if (offset < before) return false;
    before = offset;
  }
  return true;
}

function* files(pieces: TocPieces): Generator<number, void, undefined> {
  for (let piece = 0; piece < pieces.length; piece = pieces.behind(piece)) yield piece;
}
