/**
 * The sums that say which block it is (librsync §1): BLAKE2b with 32 bytes, and MD4. Node's OpenSSL has only BLAKE2b with 64 bytes, which is
 * another function, and MD4 not unless asked to at its start. Both are programs in WebAssembly over whole blocks of a memory of their own.
 */
import { instantiate, memoryOf, type Memory, type NumberFunction } from "../wasm/module.ts";
import { blake2b, BLAKE2B_BLOCK_BYTES, BLAKE2B_STATE } from "./blake2b.ts";
import { STRONG_BYTES, type StrongName } from "./kinds.ts";
import { md4, MD4_BLOCK_BYTES, MD4_STATE } from "./md4.ts";

export interface StrongSum {
  update(bytes: Uint8Array): void;
  /** Puts the first `length` bytes of the sum at `at`, and begins anew. */
  finish(into: Uint8Array, at: number, length: number): void;
}

/** State first, then input; programs find the state at address 0. */
const INPUT = 128;
const ROOM = 64 << 10;

/** What both sums share: input is gathered, and the block that may be the last is kept back. */
class Gathered {
  readonly memory: Memory = memoryOf(INPUT + ROOM + 128);
  readonly bytes = new Uint8Array(this.memory.buffer);
  readonly view = new DataView(this.memory.buffer);
  readonly #initial: Uint8Array;
  readonly #compress: (from: number, to: number) => void;
  /** Bytes that wait. */
  #waiting = 0;
  #total = 0;

  constructor(initial: Uint8Array, compress: (from: number, to: number) => void) {
    this.#initial = initial;
    this.#compress = compress;
    this.bytes.set(initial);
  }

  update(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#waiting === ROOM) {
        this.#compress(INPUT, INPUT + ROOM);
        this.#waiting = 0;
      }
      const piece = bytes.subarray(at, at + ROOM - this.#waiting);
      this.bytes.set(piece, INPUT + this.#waiting);
      this.#waiting += piece.length;
      at += piece.length;
    }
    this.#total += bytes.length;
  }

  /** Takes in all blocks but the last, which may be a part of one or empty. */
  last(blockBytes: number): { readonly from: number; readonly to: number; readonly total: number } {
    const before = Math.max(0, Math.ceil(this.#waiting / blockBytes) - 1) * blockBytes;
    this.#compress(INPUT, INPUT + before);
    return { from: INPUT + before, to: INPUT + this.#waiting, total: this.#total };
  }

  /** Gives out what is the sum now. */
  give(into: Uint8Array, at: number, length: number): void {
    into.set(this.bytes.subarray(0, length), at);
    this.bytes.set(this.#initial);
    this.#waiting = this.#total = 0;
  }
}

class Blake2b implements StrongSum {
  readonly #input = new Gathered(BLAKE2B_STATE, (from, to) => this.#compress(from, to, BLAKE2B_BLOCK_BYTES, 0));
  readonly #compress: NumberFunction = instantiate(blake2b(), this.#input.memory);

  update(bytes: Uint8Array): void {
    this.#input.update(bytes);
  }

  finish(into: Uint8Array, at: number, length: number): void {
    const { from, to } = this.#input.last(BLAKE2B_BLOCK_BYTES);
    this.#input.bytes.fill(0, to, from + BLAKE2B_BLOCK_BYTES);
    this.#compress(from, from + BLAKE2B_BLOCK_BYTES, to - from, 1);
    this.#input.give(into, at, length);
  }
}

class Md4 implements StrongSum {
  readonly #input = new Gathered(MD4_STATE, (from, to) => this.#compress(from, to));
  readonly #compress: NumberFunction = instantiate(md4(), this.#input.memory);

  update(bytes: Uint8Array): void {
    this.#input.update(bytes);
  }

  finish(into: Uint8Array, at: number, length: number): void {
    const { from, to, total } = this.#input.last(MD4_BLOCK_BYTES);
    const { bytes, view } = this.#input;
    // A bit, zeros, and the length in bits end the last block.
    const end = from + Math.ceil((to - from + 9) / MD4_BLOCK_BYTES) * MD4_BLOCK_BYTES;
    bytes.fill(0, to, end);
    bytes[to] = 0x80;
    view.setBigUint64(end - 8, BigInt(total) * 8n, true);
    this.#compress(from, end);
    this.#input.give(into, at, length);
  }
}

export function strongSum(name: StrongName): StrongSum {
  return name === "blake2" ? new Blake2b() : new Md4();
}

/** The whole sum of some bytes. */
export function strongSumOf(name: StrongName, bytes: Uint8Array): Uint8Array {
  const [sum, into] = [strongSum(name), new Uint8Array(STRONG_BYTES[name])];
  sum.update(bytes);
  sum.finish(into, 0, into.length);
  return into;
}
