/**
 * What was written to an ingest since its last checkpoint. Bytes that arrive in order, as in a stream or in each of several
 * ranges, are summed as they pass and become pieces; bytes that overwrite others, and crumbs beyond the bounds, are only
 * remembered as ranges and are read back, from the page cache, when a checkpoint wants them.
 */
import { MAX_PIECE_BYTES, type Piece } from "./journal-format.ts";
import { PieceSum } from "./piece-sum.ts";
import { RangeSet } from "./range-set.ts";
import type { ByteRange } from "./types.ts";

const MAX_GROWING = 64;
const MAX_PIECES = 2048;

interface GrowingPiece {
  readonly start: number;
  end: number;
  readonly sum: PieceSum;
}

export interface TakenPieces {
  readonly pieces: readonly Piece[];
  /** Done, but without a sum yet. */
  readonly unsummed: readonly ByteRange[];
}

export class PendingPieces {
  readonly #key: Uint8Array;
  /** By their ends, which is where the next bytes of their stream go. */
  readonly #growing = new Map<number, GrowingPiece>();
  #pieces: Piece[] = [];
  #unsummed = new RangeSet();
  #bytes = 0;

  constructor(key: Uint8Array) {
    this.#key = key;
  }

  /** Bytes written since the last {@link take}. */
  get bytes(): number {
    return this.#bytes;
  }

  /** `bytes` are in the file at `position`; `again` when some of that range had been written before. */
  wrote(position: number, bytes: Uint8Array, again: boolean): void {
    this.#bytes += bytes.length;
    if (again) return this.#unsummed.add(position, position + bytes.length);
    for (let taken = 0; taken < bytes.length;) {
      const piece = this.#pieceEndingAt(position + taken);
      if (piece === undefined) return this.#unsummed.add(position + taken, position + bytes.length);
      const length = Math.min(bytes.length - taken, MAX_PIECE_BYTES - (piece.end - piece.start));
      piece.sum.update(bytes.subarray(taken, taken + length));
      taken += length;
      this.#grow(piece, length);
    }
  }

  /** `[position, position + length)` reads as zeros. */
  zeros(position: number, length: number): void {
    this.#bytes += length;
    const last = this.#pieces.at(-1);
    if (last !== undefined && last.sum === undefined && last.end === position) {
      this.#pieces[this.#pieces.length - 1] = { start: last.start, end: position + length };
    } else if (this.#pieces.length < MAX_PIECES) {
      this.#pieces.push({ start: position, end: position + length });
    } else {
      this.#unsummed.add(position, position + length);
    }
  }

  /** What was written of `[start, end)` turned out to be wrong: it is not claimed. */
  forget(start: number, end: number): void {
    const isTouched = (piece: ByteRange): boolean => piece.start < end && start < piece.end;
    const touched = [...this.#growing.values(), ...this.#pieces].filter(isTouched);
    for (const piece of this.#growing.values()) if (isTouched(piece)) this.#growing.delete(piece.end);
    this.#pieces = this.#pieces.filter((piece) => !isTouched(piece));
    for (const piece of touched) this.#unsummed.add(piece.start, piece.end);
    this.#unsummed.delete(start, end);
  }

  /** Hands over what is pending and forgets it. */
  take(): TakenPieces {
    for (const piece of this.#growing.values()) this.#pieces.push(finished(piece));
    const taken = { pieces: this.#pieces, unsummed: this.#unsummed.toArray() };
    this.#growing.clear();
    this.#pieces = [];
    this.#unsummed = new RangeSet();
    this.#bytes = 0;
    return taken;
  }

  /** Takes back what a failed checkpoint could not record. */
  restore(taken: TakenPieces): void {
    for (const { start, end } of [...taken.pieces, ...taken.unsummed]) {
      this.#unsummed.add(start, end);
      this.#bytes += end - start;
    }
  }

  #pieceEndingAt(position: number): GrowingPiece | undefined {
    const piece = this.#growing.get(position);
    if (piece !== undefined) return piece;
    if (this.#growing.size >= MAX_GROWING) this.#finishOldest();
    if (this.#pieces.length >= MAX_PIECES) return undefined;
    return { start: position, end: position, sum: new PieceSum(this.#key) };
  }

  #grow(piece: GrowingPiece, length: number): void {
    this.#growing.delete(piece.end);
    piece.end += length;
    if (piece.end - piece.start === MAX_PIECE_BYTES) this.#pieces.push(finished(piece));
    else this.#growing.set(piece.end, piece);
  }

  #finishOldest(): void {
    for (const piece of this.#growing.values()) {
      this.#growing.delete(piece.end);
      this.#pieces.push(finished(piece));
      return;
    }
  }
}

function finished(piece: GrowingPiece): Piece {
  return { start: piece.start, end: piece.end, sum: piece.sum.digest() };
}
