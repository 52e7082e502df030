/**
 * Cuts a disk's bytes into pieces that the same content has wherever it stands. File systems move content in blocks of 4 KiB, so a piece ends only
 * where such a block does: when a checksum over the block says so; when the block ends in zeros and the one before did not, as the last one of a
 * file does; or when the piece is full. (Were it enough that a block ends in zeros, the pieces of tables whose blocks all do would depend on where the
 * first began.) Zeros are pieces of their own, however long they are. All this takes a quarter of the time of a rolling sum (bench "disk-index").
 *
 * What is here is as good as a part of the format: pieces that are cut otherwise are found nowhere.
 */
import { crc32 } from "node:zlib";
import { UNIT_BYTES } from "./format.ts";

/** A piece that is not zeros has as many bytes before anything but zeros, or the end, ends it. */
const LEAST_BYTES = 8 << 10;
export const FULL_BYTES = 64 << 10;
/** One block of sixteen ends a piece by its checksum. */
const MASK = 0xf;
/** Zeros at the end of a block that are taken for the end of a file. */
const TAIL_BYTES = 16;
const ZEROS = Buffer.alloc(UNIT_BYTES);

export interface DiskPiece {
  readonly size: number;
  /** Lent until the next piece is asked for; undefined where all of them are zero. */
  readonly bytes: Uint8Array | undefined;
}

/** One chunk's pieces: give it all bytes in order, then call `end`. */
export class DiskChunker {
  /** The piece so far, and the block of which not all is here. */
  readonly #buffer = Buffer.allocUnsafeSlow(FULL_BYTES);
  #blockAt = 0;
  #end = 0;
  /** Bytes of the block, and of zeros before it that no piece was made of yet. */
  #blockBytes: number;
  #zeros = 0;
  /** Whether the block before ends in zeros. */
  #afterTail = false;

  /** @param offset of the first byte in its disk */
  constructor(offset: number) {
    this.#blockBytes = UNIT_BYTES - (offset % UNIT_BYTES);
  }

  /** Pieces whose ends are known by now. All must be taken before anything else is called. */
  *write(bytes: Uint8Array): Generator<DiskPiece, void, undefined> {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#blockAt + this.#blockBytes - this.#end);
      this.#buffer.set(part, this.#end);
      this.#end += part.length;
      at += part.length;
      if (this.#end === this.#blockAt + this.#blockBytes) yield* this.#takeBlock();
    }
  }

  /** The same as so many zeros, without looking at any: for holes. */
  *skip(length: number): Generator<DiskPiece, void, undefined> {
    const first = Math.min(length, this.#end === this.#blockAt ? 0 : this.#blockAt + this.#blockBytes - this.#end);
    yield* this.write(ZEROS.subarray(0, first));
    let left = length - first;
    if (left >= this.#blockBytes) {
      const blocks = this.#blockBytes + Math.floor((left - this.#blockBytes) / UNIT_BYTES) * UNIT_BYTES;
      yield* this.#takeData();
      this.#zeros += blocks;
      this.#afterTail = true;
      this.#blockBytes = UNIT_BYTES;
      left -= blocks;
    }
    yield* this.write(ZEROS.subarray(0, left));
  }

  /** The last pieces. */
  *end(): Generator<DiskPiece, void, undefined> {
    if (this.#end > this.#blockAt) yield* this.#takeBlock();
    yield* this.#takeZeros();
    yield* this.#takeData();
  }

  /** The block is whole, or the last. */
  *#takeBlock(): Generator<DiskPiece, void, undefined> {
    const block = this.#buffer.subarray(this.#blockAt, this.#end);
    this.#blockBytes = UNIT_BYTES;
    if (block[0] === 0 && ZEROS.compare(block, 0, block.length, 0, block.length) === 0) {
      this.#end = this.#blockAt;
      yield* this.#takeData();
      this.#zeros += block.length;
      this.#afterTail = true;
      return;
    }
    yield* this.#takeZeros();
    this.#blockAt = this.#end;
    if (this.#endsPiece(block)) yield* this.#takeData();
  }

  #endsPiece(block: Buffer): boolean {
    const size = this.#end;
    const hasTail = endsInZeros(block);
    const isFileEnd = hasTail && !this.#afterTail;
    this.#afterTail = hasTail;
    // There must be room for another.
    if (size + UNIT_BYTES > FULL_BYTES) return true;
    return size >= LEAST_BYTES && (isFileEnd || (crc32(block) & MASK) === 0);
  }

  *#takeZeros(): Generator<DiskPiece, void, undefined> {
    const size = this.#zeros;
    this.#zeros = 0;
    if (size > 0) yield { size, bytes: undefined };
  }

  *#takeData(): Generator<DiskPiece, void, undefined> {
    const size = this.#end;
    this.#blockAt = this.#end = 0;
    if (size > 0) yield { size, bytes: this.#buffer.subarray(0, size) };
  }
}

function endsInZeros(block: Buffer): boolean {
  if (block.length < TAIL_BYTES || block.at(-1) !== 0) return false;
  return ZEROS.compare(block, block.length - TAIL_BYTES, block.length, 0, TAIL_BYTES) === 0;
}
