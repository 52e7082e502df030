/**
 * What is to be done for a file, piece by piece: its data in pieces that fit a buffer, and the holes between them. Data that lies close
 * together is one piece, for reading a small hole costs less than asking twice.
 */
import type { Extent } from "../sys/sparse.ts";

/** Most bytes of a piece of data: one buffer. */
export const PIECE_BYTES = 1 << 20;
/** Holes up to this are read over. */
const GAP = 64 << 10;

/** `runs`: where there is data in `[offset, offset + length)`, ascending; the rest of it are holes. */
export interface DataPiece extends Extent {
  readonly kind: "data";
  readonly runs: readonly Extent[];
}

export type Piece = DataPiece | (Extent & { readonly kind: "hole" });

/** Ascending and without a gap from 0 to `size`. @param extents ascending and apart */
export function* pieces(extents: Iterable<Extent>, size: number): Generator<Piece, void> {
  let told = 0;
  let open: Extent[] = [];
  const flush = function* (): Generator<Piece, void> {
    const [first, last] = [open[0], open.at(-1)];
    if (first === undefined || last === undefined) return;
    if (first.offset > told) yield { kind: "hole", offset: told, length: first.offset - told };
    told = last.offset + last.length;
    yield { kind: "data", offset: first.offset, length: told - first.offset, runs: open };
    open = [];
  };
  for (const extent of extents) {
    for (const part of parts(extent)) {
      const [first, last] = [open[0], open.at(-1)];
      const end = part.offset + part.length;
      if (first !== undefined && last !== undefined) {
        const isNear = part.offset - last.offset - last.length <= GAP;
        if (!isNear || end - first.offset > PIECE_BYTES) yield* flush();
      }
      open.push(part);
    }
  }
  yield* flush();
  if (told < size) yield { kind: "hole", offset: told, length: size - told };
}

/** Cut at multiples of a piece's size, so that pieces of large extents are aligned. */
function* parts({ offset, length }: Extent): Generator<Extent, void> {
  const end = offset + length;
  for (let at = offset; at < end;) {
    const stop = Math.min(end, (Math.floor(at / PIECE_BYTES) + 1) * PIECE_BYTES);
    yield { offset: at, length: stop - at };
    at = stop;
  }
}

/** What is data in one of two files or in both; each ascending and apart, and so is the result. */
export function* union(one: Iterable<Extent>, other: Iterable<Extent>): Generator<Extent, void> {
  const [ones, others] = [one[Symbol.iterator](), other[Symbol.iterator]()];
  let [left, right] = [ones.next(), others.next()];
  let open: { offset: number; end: number } | undefined;
  for (;;) {
    const isLeft = left.done !== true && (right.done === true || left.value.offset <= right.value.offset);
    const next = isLeft ? left : right;
    if (next.done === true) break;
    if (isLeft) left = ones.next();
    else right = others.next();
    const { offset, length } = next.value;
    if (open !== undefined && offset <= open.end) open.end = Math.max(open.end, offset + length);
    else {
      if (open !== undefined) yield { offset: open.offset, length: open.end - open.offset };
      open = { offset, end: offset + length };
    }
  }
  if (open !== undefined) yield { offset: open.offset, length: open.end - open.offset };
}
