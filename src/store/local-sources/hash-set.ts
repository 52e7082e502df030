/**
 * A set of 32-bit numbers, 12 bytes for each at most. Numbers come from names that somebody else has chosen, so where one goes is
 * this process's secret: nobody can make them all go to the same place.
 */
import { randomBytes } from "node:crypto";

const LEAST_BITS = 4;
const SEED = randomBytes(4).readInt32LE();
const FACTOR = randomBytes(4).readInt32LE() | 1;

export class HashSet {
  readonly #slots: Uint32Array<ArrayBuffer>;
  readonly #mask: number;
  readonly #shift: number;
  /** An empty slot is 0, so 0 has a place of its own. */
  #hasZero = false;

  /** @param capacity how many will be added at most */
  constructor(capacity: number) {
    const bits = Math.max(LEAST_BITS, Math.ceil(Math.log2(Math.max(1, capacity * 1.5))));
    this.#slots = new Uint32Array(2 ** bits);
    this.#mask = 2 ** bits - 1;
    this.#shift = 32 - bits;
  }

  add(value: number): void {
    if (value === 0) this.#hasZero = true;
    else this.#slots[this.#find(value)] = value;
  }

  has(value: number): boolean {
    return value === 0 ? this.#hasZero : this.#slots[this.#find(value)] === value;
  }

  /** Gives its memory back; it must not be asked again. */
  release(): void {
    this.#slots.buffer.transfer(0);
  }

  #find(value: number): number {
    let at = Math.imul(Math.imul(value ^ SEED, FACTOR) ^ (value >>> 15), FACTOR) >>> this.#shift;
    while (this.#slots[at] !== 0 && this.#slots[at] !== value) at = (at + 1) & this.#mask;
    return at;
  }
}
