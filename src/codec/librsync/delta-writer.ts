/**
 * Writes a delta (librsync §2) as small as the format lets it be: numbers in the fewest bytes, literals up to 64 bytes with one byte before
 * them, copies that continue each other as one.
 */
import {
  DELTA_MAGIC,
  LONGEST_COMMAND,
  OP_COPY_N1_N1,
  OP_END,
  OP_LITERAL_64,
  OP_LITERAL_N1,
  widthOf,
} from "./delta-format.ts";

const PIECE_BYTES = 64 << 10;
/** Literals of unknown length are gathered, and written when they are so long. Three bytes name a length that fits in two. */
const LITERAL_BYTES = 0xffff;

/** Take with `take` what there is to write, then and when; it is the caller's. */
export class DeltaWriter {
  #pieces: Uint8Array[] = [];
  #piece = Buffer.allocUnsafe(PIECE_BYTES);
  #used = 0;
  readonly #literal = Buffer.allocUnsafe(LITERAL_BYTES);
  #gathered = 0;
  #copyStart = 0;
  #copyLength = 0;
  /** Bytes of an announced literal that are still to come. */
  #announced = 0;
  #size = 0;
  #copies = 0;
  #copied = 0;
  #literals = 0;
  #literally = 0;

  constructor() {
    this.#piece.writeUInt32BE(DELTA_MAGIC);
    this.#used = 4;
  }

  /** Of what was written so far: commands, and bytes of the new file that they make. */
  get counts(): {
    readonly copies: number;
    readonly copied: number;
    readonly literals: number;
    readonly literal: number;
  } {
    return { copies: this.#copies, copied: this.#copied, literals: this.#literals, literal: this.#literally };
  }

  /** Bytes of the delta that were given out. */
  get size(): number {
    return this.#size;
  }

  copy(start: number, length: number): void {
    if (length === 0) return;
    if (this.#copyLength > 0 && this.#copyStart + this.#copyLength === start) {
      this.#copyLength += length;
      return;
    }
    this.#settle();
    this.#copyStart = start;
    this.#copyLength = length;
  }

  /** Bytes that are kept until it is known how many follow each other. They are copied. */
  literal(bytes: Uint8Array): void {
    if (bytes.length > 0) this.#flushCopy();
    for (let at = 0; at < bytes.length;) {
      const some = bytes.subarray(at, at + LITERAL_BYTES - this.#gathered);
      this.#literal.set(some, this.#gathered);
      this.#gathered += some.length;
      at += some.length;
      if (this.#gathered === LITERAL_BYTES) this.#flushLiteral();
    }
  }

  /** Begins a literal of a length that is known, of any: its bytes follow with `announced`, and nothing else before them all. */
  announce(length: number): void {
    this.#settle();
    this.#announced = length;
    if (length > 0) this.#literalHead(length);
  }

  /** @throws RangeError for more than was announced */
  announced(bytes: Uint8Array): void {
    if (bytes.length > this.#announced) throw new RangeError("more bytes than were announced");
    this.#announced -= bytes.length;
    this.#append(bytes);
  }

  /** @throws RangeError when bytes that were announced have not come */
  end(): void {
    if (this.#announced > 0) throw new RangeError("fewer bytes than were announced");
    this.#settle();
    this.#room(1);
    this.#piece[this.#used++] = OP_END;
    this.#endPiece();
  }

  /** What is to be written so far. */
  take(): Uint8Array[] {
    const pieces = this.#pieces;
    if (pieces.length > 0) this.#pieces = [];
    return pieces;
  }

  #settle(): void {
    this.#flushCopy();
    this.#flushLiteral();
  }

  #flushCopy(): void {
    if (this.#copyLength === 0) return;
    this.#room(LONGEST_COMMAND);
    const [start, length] = [widthOf(this.#copyStart), widthOf(this.#copyLength)];
    this.#piece[this.#used++] = OP_COPY_N1_N1 + 4 * start + length;
    this.#number(this.#copyStart, 1 << start);
    this.#number(this.#copyLength, 1 << length);
    this.#copies += 1;
    this.#copied += this.#copyLength;
    this.#copyLength = 0;
  }

  #flushLiteral(): void {
    if (this.#gathered === 0) return;
    this.#literalHead(this.#gathered);
    this.#append(this.#literal.subarray(0, this.#gathered));
    this.#gathered = 0;
  }

  #literalHead(length: number): void {
    this.#room(LONGEST_COMMAND);
    this.#literals += 1;
    this.#literally += length;
    if (length <= OP_LITERAL_64) {
      this.#piece[this.#used++] = length;
      return;
    }
    const width = widthOf(length);
    this.#piece[this.#used++] = OP_LITERAL_N1 + width;
    this.#number(length, 1 << width);
  }

  #number(value: number, width: number): void {
    if (width === 8) {
      this.#used = this.#piece.writeUInt32BE(Math.floor(value / 2 ** 32), this.#used);
      this.#used = this.#piece.writeUInt32BE(value % 2 ** 32, this.#used);
    } else this.#used = this.#piece.writeUIntBE(value, this.#used, width);
  }

  #append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      this.#room(1);
      const some = bytes.subarray(at, at + PIECE_BYTES - this.#used);
      this.#piece.set(some, this.#used);
      this.#used += some.length;
      at += some.length;
    }
  }

  #room(bytes: number): void {
    if (PIECE_BYTES - this.#used >= bytes) return;
    this.#endPiece();
    this.#piece = Buffer.allocUnsafe(PIECE_BYTES);
  }

  #endPiece(): void {
    this.#pieces.push(this.#piece.subarray(0, this.#used));
    this.#size += this.#used;
    this.#used = 0;
  }
}
