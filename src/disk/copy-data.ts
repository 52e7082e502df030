/** The pieces of a source to a target: data is put, holes and, where that is asked for, zeros among the data are made zeros. */
import { changed, type CopySource } from "./copy-source.ts";
import { readFully, type CopyCalls } from "./copy-calls.ts";
import type { CopyTarget } from "./copy-targets.ts";
import { inLanes } from "./lanes.ts";
import { pieces, type DataPiece } from "./pieces.ts";
import { dataStretches, type Stretch } from "../codec/zero-runs.ts";

export interface CopyDataOptions {
  readonly calls: CopyCalls;
  /**
   * What is data: `map`: what the source says; `zeros`: of that, what is not zeros; `all`: all, because the target is to have no holes.
   */
  readonly finds: "map" | "zeros" | "all";
  readonly signal: AbortSignal;
  /** After each piece: how long it was, and how much of that had to be read. */
  readonly onPiece?: (bytes: number, data: number) => void;
}

/** @throws VarveError `SOURCE_CHANGED` when it has become shorter; NodeJS.ErrnoException; the signal's reason */
export async function copyData(source: CopySource, target: CopyTarget, options: CopyDataOptions): Promise<void> {
  const { calls, finds, signal, onPiece } = options;
  const copyPiece = async (piece: DataPiece, buffer: Buffer): Promise<void> => {
    const { offset, length } = piece;
    const got = await readFully(calls, source.descriptor, buffer, length, offset);
    if (got < length) throw changed(source.path);
    let at = 0;
    for (const [start, end] of stretches(piece, buffer, finds)) {
      if (start > at) await target.zero(offset + at, start - at, signal);
      await target.put(buffer, start, end, offset + start);
      at = end;
    }
    if (at < length) await target.zero(offset + at, length - at, signal);
  };
  const extents = finds === "all" ? source.whole() : source.extents();
  await inLanes(
    pieces(extents, source.size),
    async (piece, buffer) => {
      if (piece.kind === "hole") await target.zero(piece.offset, piece.length, signal);
      else await copyPiece(piece, buffer);
      onPiece?.(piece.length, piece.kind === "data" ? piece.length : 0);
    },
    signal,
  );
}

function stretches({ offset, length, runs }: DataPiece, buffer: Buffer, finds: CopyDataOptions["finds"]): Stretch[] {
  if (finds === "all") return [[0, length]];
  const told = runs.map((run): Stretch => [run.offset - offset, run.offset - offset + run.length]);
  if (finds === "map") return told;
  return told.flatMap(([start, end]) => dataStretches(buffer, start, end, offset + start));
}
