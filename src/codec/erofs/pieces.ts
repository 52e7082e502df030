/** The index as it is written: one stretch at a time, zeros at first, given away when the next thing has no room in it. */
import { sealHead } from "./write-head.ts";

/** Bytes of a stretch, about. */
const PIECE_BYTES = 256 * 1024;

export interface Piece {
  /** Bytes from the index's start. */
  readonly start: number;
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

/** Positions only ever grow, and all up to one that was reached is taken as written. */
export class Pieces {
  last: Piece;

  /** @param head bytes that the first stretch has to hold besides a block of what follows */
  constructor(head: number) {
    this.last = newPiece(0, head + PIECE_BYTES);
  }

  /** Makes `last` hold all from `position` to `end`; returns the stretch that came before when it could not. */
  reach(position: number, end: number): Uint8Array | undefined {
    const { start, bytes } = this.last;
    if (end - start <= bytes.length) return undefined;
    const full = this.end(position);
    this.last = newPiece(position, Math.max(PIECE_BYTES, end - position));
    return full;
  }

  /** The last stretch, up to `position`. */
  end(position: number): Uint8Array {
    const piece = this.last;
    if (piece.start === 0) sealHead(piece);
    return piece.bytes.subarray(0, position - piece.start);
  }
}

function newPiece(start: number, length: number): Piece {
  const bytes = new Uint8Array(length);
  return { start, bytes, view: new DataView(bytes.buffer) };
}
