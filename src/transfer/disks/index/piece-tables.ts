/** The pieces of several chunks as one table: to be looked for together, or to be remembered of a disk. */
import type { ChunkPieces } from "../../../codec/disk-index/chunk-pieces.ts";
import type { PlacedPieces } from "../../../codec/piece-table.ts";
import type { Digest } from "../../../oci/digest.ts";

export interface TablePart {
  readonly pieces: ChunkPieces;
  /** What its pieces are looked for under. */
  readonly name: string;
}

export class JoinedPieces implements PlacedPieces {
  readonly #parts: readonly TablePart[];
  /** Number of the first piece of each part. */
  readonly #firsts: readonly number[];
  readonly length: number;
  /** Where the last piece was found: they are asked for one after the other. */
  #last = 0;

  constructor(parts: readonly TablePart[]) {
    this.#parts = parts;
    let length = 0;
    this.#firsts = parts.map(({ pieces }) => {
      length += pieces.length;
      return length - pieces.length;
    });
    this.length = length;
  }

  /** Number of the first piece of a part. */
  first(part: number): number {
    return this.#firsts[part]!;
  }

  size(piece: number): number {
    const part = this.#partOf(piece);
    return this.#parts[part]!.pieces.size(piece - this.#firsts[part]!);
  }

  /** Nobody needs to look for zeros. */
  digest(piece: number): Digest | undefined {
    const part = this.#partOf(piece);
    return this.#parts[part]!.pieces.digest(piece - this.#firsts[part]!);
  }

  name(piece: number): string {
    return this.#parts[this.#partOf(piece)]!.name;
  }

  start(piece: number): number {
    const part = this.#partOf(piece);
    return this.#parts[part]!.pieces.start(piece - this.#firsts[part]!);
  }

  #partOf(piece: number): number {
    if (!this.#has(this.#last, piece)) {
      let low = 0;
      let high = this.#firsts.length - 1;
      while (low < high) {
        const middle = (low + high + 1) >>> 1;
        if (this.#firsts[middle]! <= piece) low = middle;
        else high = middle - 1;
      }
      this.#last = low;
    }
    return this.#last;
  }

  #has(part: number, piece: number): boolean {
    return this.#firsts[part]! <= piece && piece < (this.#firsts[part + 1] ?? this.length);
  }
}
