/**
 * Writes the operations of a tar-diff (formats "tar-diff" §1), so few and short as they can be: neighbours are joined, a seek is written only where
 * the source is read elsewhere than it stands.
 */
import { encodeName } from "../../sys/path-bytes.ts";
import { LONGEST_NUMBER, OP_ADD, OP_COPY, OP_DATA, OP_OPEN, OP_SEEK } from "./format.ts";

const PIECE_BYTES = 256 << 10;
/** Bytes that are gathered for one operation: their number stands before them. */
const GATHERED_BYTES = 1 << 20;

/** Of what was written so far: bytes of the new tar by what they come from, and operations. */
export interface TarDiffCounts {
  data: number;
  copied: number;
  added: number;
  operations: number;
}

/** Take with `take` what there is to write, then and when; it is the caller's. */
export class TarDiffWriter {
  readonly counts: TarDiffCounts = { data: 0, copied: 0, added: 0, operations: 0 };
  #pieces: Uint8Array[] = [];
  #piece = Buffer.allocUnsafe(PIECE_BYTES);
  #used = 0;
  readonly #gathered = Buffer.allocUnsafe(GATHERED_BYTES);
  #kind: typeof OP_DATA | typeof OP_ADD = OP_DATA;
  #have = 0;
  #copy = 0;
  #path = "";
  /** Where the source stands for who reads, and where it will when all that is pending is written. */
  #position = 0;

  /** Bytes that no source has. They are copied. */
  data(bytes: Uint8Array): void {
    this.counts.data += bytes.length;
    this.#gather(OP_DATA, bytes);
  }

  /** What follows is read from this file, from its start. @param path cleaned, as a surrogateescape string */
  open(path: string): void {
    if (this.#path === path) return;
    this.#settle();
    const name = encodeName(path);
    this.#op(OP_OPEN, name.length);
    this.#append(name);
    this.#path = path;
    this.#position = 0;
  }

  /** Bytes `[start, start + length)` of the open file. */
  copy(start: number, length: number): void {
    if (length === 0) return;
    this.#seek(start);
    this.#flush();
    this.#copy += length;
    this.#position += length;
    this.counts.copied += length;
  }

  /** As many bytes from `start` on of the open file, with these added to each. They are copied. */
  add(start: number, differences: Uint8Array): void {
    if (differences.length === 0) return;
    this.#seek(start);
    this.#gather(OP_ADD, differences);
    this.#position += differences.length;
    this.counts.added += differences.length;
  }

  end(): void {
    this.#settle();
    this.#endPiece();
  }

  /** What is to be written so far. */
  take(): Uint8Array[] {
    const pieces = this.#pieces;
    if (pieces.length > 0) this.#pieces = [];
    return pieces;
  }

  #seek(position: number): void {
    if (this.#position === position) return;
    this.#settle();
    this.#op(OP_SEEK, position);
    this.#position = position;
  }

  #gather(kind: typeof OP_DATA | typeof OP_ADD, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#flushCopy();
    if (this.#kind !== kind) this.#flush();
    this.#kind = kind;
    for (let at = 0; at < bytes.length;) {
      const some = bytes.subarray(at, at + GATHERED_BYTES - this.#have);
      this.#gathered.set(some, this.#have);
      this.#have += some.length;
      at += some.length;
      if (this.#have === GATHERED_BYTES) this.#flush();
    }
  }

  #settle(): void {
    this.#flushCopy();
    this.#flush();
  }

  #flushCopy(): void {
    if (this.#copy > 0) this.#op(OP_COPY, this.#copy);
    this.#copy = 0;
  }

  #flush(): void {
    if (this.#have === 0) return;
    this.#op(this.#kind, this.#have);
    this.#append(this.#gathered.subarray(0, this.#have));
    this.#have = 0;
  }

  #op(op: number, number: number): void {
    this.#room(1 + LONGEST_NUMBER);
    this.counts.operations += 1;
    this.#piece[this.#used++] = op;
    let left = number;
    for (; left >= 0x80; left = Math.floor(left / 128)) this.#piece[this.#used++] = (left % 128) | 0x80;
    this.#piece[this.#used++] = left;
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
    if (this.#used > 0) this.#pieces.push(this.#piece.subarray(0, this.#used));
    this.#used = 0;
  }
}
