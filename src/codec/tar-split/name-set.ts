/**
 * Tells whether a name has been there before, in 16 bytes for each at most: the names of a million members are 100 MB as strings. What is kept
 * of a name are 64 bits. Two names of the same bits, one pair in billions of layers unless somebody looks for one, are taken for the same.
 */
import { randomBytes } from "node:crypto";

const LEAST_SLOTS = 1 << 10;

/** Where a name goes is this process's secret: nobody can make all of them go to one place. What is found does not depend on it. */
const SEED = randomBytes(4).readInt32LE();
const FACTOR = randomBytes(4).readInt32LE() | 1;

export class NameSet {
  /** Two numbers for each slot, both zero where it is empty. */
  #slots = new Int32Array(2 * LEAST_SLOTS);
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** @returns whether it was not there yet */
  add(name: string): boolean {
    const [low, high] = bitsOf(name);
    const at = this.#find(low, high);
    if (this.#isThere(at)) return false;
    this.#put(at, low, high);
    this.#size++;
    if (4 * this.#size > this.#slots.length) this.#grow();
    return true;
  }

  /** Forgets all names, and gives their memory back. */
  clear(): void {
    this.#slots = new Int32Array(2 * LEAST_SLOTS);
    this.#size = 0;
  }

  /** Where it is, or where it would go. */
  #find(low: number, high: number): number {
    const slots = this.#slots;
    const mask = slots.length / 2 - 1;
    const mixed = Math.imul(Math.imul(low ^ SEED, FACTOR) ^ high, FACTOR);
    let at = (mixed ^ (mixed >>> 15)) & mask;
    while (this.#isThere(2 * at) && (slots[2 * at] !== low || slots[2 * at + 1] !== high)) at = (at + 1) & mask;
    return 2 * at;
  }

  #isThere(at: number): boolean {
    return this.#slots[at] !== 0 || this.#slots[at + 1] !== 0;
  }

  #put(at: number, low: number, high: number): void {
    this.#slots[at] = low;
    this.#slots[at + 1] = high;
  }

  #grow(): void {
    const before = this.#slots;
    this.#slots = new Int32Array(2 * before.length);
    for (let at = 0; at < before.length; at += 2) {
      const [low = 0, high = 0] = [before[at], before[at + 1]];
      if (low !== 0 || high !== 0) this.#put(this.#find(low, high), low, high);
    }
  }
}

/** Two sums that have nothing to do with each other, never both zero. */
function bitsOf(text: string): readonly [low: number, high: number] {
  let low = 0x811c9dc5 | 0;
  let high = 0x1b873593 | 0;
  for (let at = 0; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    low = Math.imul(low ^ unit, 0x01000193);
    high = Math.imul(high ^ unit ^ (high >>> 15), 0x85ebca6b);
  }
  low = Math.imul(low ^ (low >>> 16) ^ text.length, 0xc2b2ae35);
  high = Math.imul(high ^ (high >>> 13), 0x27d4eb2f);
  return [low, high | (low === 0 ? 1 : 0)];
}
