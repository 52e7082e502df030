/**
 * Finds blocks of a signature by their sums. Two tables of numbers, both at most half full: one by weak sum, with the first block of each only, and
 * one by both sums, of which again the first stays. So looking is one step however many blocks have the same weak sum, and building is linear
 * too; places in the tables depend on a number drawn at random, so that nobody can make up sums that all fall on one.
 */
import { randomBytes } from "node:crypto";
import type { Signature } from "./read-signature.ts";
import { SumFilter } from "./sum-filter.ts";

const WEAK_BYTES = 4;
const EMPTY = 0;
/** Odd, and without a pattern. */
const SPREAD = 0x9e37_79b1;

export class SignatureIndex {
  readonly #signature: Signature;
  readonly #view: DataView;
  readonly #shift: number;
  readonly #mask: number;
  readonly #seed = randomBytes(4).readUInt32LE();
  /** What cannot be here. */
  readonly filter: SumFilter;
  /** Numbers of blocks, and one more. */
  readonly #byWeak: Uint32Array;
  readonly #byBoth: Uint32Array;

  constructor(signature: Signature) {
    this.#signature = signature;
    const { rows, blocks, rowBytes } = signature;
    this.#view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
    const bits = Math.max(4, Math.ceil(Math.log2(2 * blocks + 1)));
    this.filter = new SumFilter(blocks);
    this.#shift = 32 - bits;
    this.#mask = 2 ** bits - 1;
    this.#byWeak = new Uint32Array(2 ** bits);
    this.#byBoth = new Uint32Array(2 ** bits);
    for (let block = 0; block < blocks; block++) {
      const weak = this.#view.getUint32(block * rowBytes);
      this.filter.add(weak);
      const slot = this.#slotOfWeak(weak);
      if (this.#byWeak[slot] === EMPTY) this.#byWeak[slot] = block + 1;
      const both = this.#slotOfBoth(weak, rows, block * rowBytes + WEAK_BYTES);
      if (this.#byBoth[both] === EMPTY) this.#byBoth[both] = block + 1;
    }
  }

  /** Whether some block has the weak sum. */
  hasWeak(weak: number): boolean {
    return this.#byWeak[this.#slotOfWeak(weak)] !== EMPTY;
  }

  /** Whether there is such a block, and it has both sums. */
  isBlock(block: number, weak: number, strong: Uint8Array): boolean {
    return block < this.#signature.blocks && this.#isRow(block, weak, strong, 0);
  }

  /** The number of the first block with both sums; undefined for none. */
  find(weak: number, strong: Uint8Array): number | undefined {
    const found = this.#byBoth[this.#slotOfBoth(weak, strong, 0)]!;
    return found === EMPTY ? undefined : found - 1;
  }

  /** The slot with the weak sum, or the one where it belongs. */
  #slotOfWeak(weak: number): number {
    const { rowBytes } = this.#signature;
    let slot = Math.imul(weak ^ this.#seed, SPREAD) >>> this.#shift;
    for (;;) {
      const found = this.#byWeak[slot]!;
      if (found === EMPTY || this.#view.getUint32((found - 1) * rowBytes) === weak) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #slotOfBoth(weak: number, strong: Uint8Array, at: number): number {
    let slot = this.#hash(weak, strong, at) >>> this.#shift;
    for (;;) {
      const found = this.#byBoth[slot]!;
      if (found === EMPTY || this.#isRow(found - 1, weak, strong, at)) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  #hash(weak: number, strong: Uint8Array, at: number): number {
    let hash = weak ^ this.#seed;
    for (let byte = 0; byte < this.#signature.strongBytes; byte++) {
      hash = Math.imul(hash ^ (hash >>> 15) ^ strong[at + byte]!, SPREAD);
    }
    return Math.imul(hash ^ (hash >>> 13), SPREAD);
  }

  #isRow(block: number, weak: number, strong: Uint8Array, at: number): boolean {
    const { rows, rowBytes, strongBytes } = this.#signature;
    const row = block * rowBytes;
    if (this.#view.getUint32(row) !== weak) return false;
    for (let byte = 0; byte < strongBytes; byte++) {
      if (rows[row + WEAK_BYTES + byte] !== strong[at + byte]) return false;
    }
    return true;
  }
}
