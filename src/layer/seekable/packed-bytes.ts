/**
 * Bytes that are appended once and then read in any order, kept compressed by blocks: the headers of a layer's tar are a kilobyte for each file and say
 * nearly the same each time, so that fifty megabytes of them take two. Some blocks are kept as they are, for whoever reads goes on from there.
 */
import { constants, zstdCompressSync, zstdDecompressSync } from "node:zlib";

const BLOCK_BYTES = 64 * 1024;
/** Blocks that were read last. */
const KEPT_BLOCKS = 8;
const LEVEL = { params: { [constants.ZSTD_c_compressionLevel]: 1 } };

export class PackedBytes {
  readonly #blocks: Uint8Array[] = [];
  /** By number, in order of last use. */
  readonly #kept = new Map<number, Uint8Array>();
  #last: Uint8Array = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #packed = 0;

  /** Bytes appended. */
  get size(): number {
    return this.#blocks.length * BLOCK_BYTES + this.#filled;
  }

  /** Bytes of memory that they take, less a few blocks. */
  get packedSize(): number {
    return this.#packed;
  }

  append(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#last.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOCK_BYTES) this.#pack();
    }
  }

  /** Fills `into` from `position` on, all of which was appended. */
  read(into: Uint8Array, position: number): void {
    for (let filled = 0; filled < into.length;) {
      const from = position + filled;
      const within = from % BLOCK_BYTES;
      const part = this.#block(Math.floor(from / BLOCK_BYTES)).subarray(within, within + into.length - filled);
      into.set(part, filled);
      filled += part.length;
    }
  }

  /** The same as bytes of their own. */
  slice(start: number, end: number): Buffer {
    const bytes = Buffer.allocUnsafe(end - start);
    this.read(bytes, start);
    return bytes;
  }

  #pack(): void {
    const packed = zstdCompressSync(this.#last, LEVEL);
    // What comes from a pool would keep all of the pool.
    this.#blocks.push(new Uint8Array(packed));
    this.#packed += packed.length;
    this.#filled = 0;
  }

  #block(number: number): Uint8Array {
    const packed = this.#blocks[number];
    if (packed === undefined) return this.#last;
    const block = this.#kept.get(number) ?? zstdDecompressSync(packed, { maxOutputLength: BLOCK_BYTES });
    this.#kept.delete(number);
    this.#kept.set(number, block);
    for (const [oldest] of this.#kept) {
      if (this.#kept.size <= KEPT_BLOCKS) break;
      this.#kept.delete(oldest);
    }
    return block;
  }
}
