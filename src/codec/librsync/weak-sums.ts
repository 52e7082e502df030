/**
 * The sums that are rolled over a file byte by byte (librsync §1, "Weak sums"). All arithmetic wraps: 16 bits in the halves of a rollsum,
 * 32 in Rabin-Karp.
 */
import type { WeakName } from "./kinds.ts";
import type { SumFilter } from "./sum-filter.ts";

export interface WeakSum {
  /** As it stands in signatures: 32 bits, unsigned. */
  readonly value: number;
  /** Forgets what it has seen. */
  reset(): void;
  /** Takes in bytes `[from, to)`. */
  update(bytes: Uint8Array, from: number, to: number): void;
  /**
   * Moves the window `[from, to)` on, by one byte at least, until the filter may have its sum or it ends at `end`; says by how many. One call for
   * many bytes, because a call for each takes several times as long as what it does.
   */
  roll(bytes: Uint8Array, from: number, to: number, end: number, filter: SumFilter): number;
  /** Lets the first byte go. */
  drop(out: number): void;
}

const ROLLSUM_OFFSET = 31;

export class Rollsum implements WeakSum {
  #low = 0;
  #high = 0;
  #length = 0;

  get value(): number {
    return ((this.#high << 16) | (this.#low & 0xffff)) >>> 0;
  }

  reset(): void {
    this.#low = this.#high = this.#length = 0;
  }

  update(bytes: Uint8Array, from: number, to: number): void {
    let low = this.#low;
    let high = this.#high;
    for (let at = from; at < to; at++) {
      low = (low + bytes[at]! + ROLLSUM_OFFSET) | 0;
      high = (high + low) | 0;
    }
    this.#low = low;
    this.#high = high;
    this.#length += to - from;
  }

  roll(bytes: Uint8Array, from: number, to: number, end: number, { words, shift, factor }: SumFilter): number {
    let [low, high] = [this.#low, this.#high];
    const length = this.#length;
    let front = from;
    for (let next = to; next < end; next++) {
      const out = bytes[front++]!;
      low = (low + bytes[next]! - out) | 0;
      high = (high + low - Math.imul(length, out + ROLLSUM_OFFSET)) | 0;
      const bit = Math.imul((high << 16) | (low & 0xffff), factor) >>> shift;
      if ((words[bit >>> 5]! & (1 << (bit & 31))) !== 0) break;
    }
    this.#low = low;
    this.#high = high;
    return front - from;
  }

  drop(out: number): void {
    this.#low = (this.#low - out - ROLLSUM_OFFSET) | 0;
    this.#high = (this.#high - Math.imul(this.#length, out + ROLLSUM_OFFSET)) | 0;
    this.#length -= 1;
  }
}

const MULTIPLIER = 0x0810_4225;
/** Of the multiplier, modulo 2^32. */
const INVERSE = 0x98f0_09ad;
/** The first factor, 1, times (multiplier - 1): with it, zeros at a window's front count as well. */
const ADJUSTMENT = 0x0810_4224;

export class RabinKarp implements WeakSum {
  #hash = 1;
  #length = 0;
  /** The multiplier to the power of the length: odd, so never zero, which stands for "not known yet". Who only sums needs none. */
  #power = 0;

  get value(): number {
    return this.#hash >>> 0;
  }

  reset(): void {
    this.#hash = 1;
    this.#length = this.#power = 0;
  }

  update(bytes: Uint8Array, from: number, to: number): void {
    let hash = this.#hash;
    for (let at = from; at < to; at++) hash = (Math.imul(hash, MULTIPLIER) + bytes[at]!) | 0;
    this.#hash = hash;
    this.#length += to - from;
    this.#power = 0;
  }

  roll(bytes: Uint8Array, from: number, to: number, end: number, { words, shift, factor }: SumFilter): number {
    if (this.#power === 0) this.#power = powerOf(this.#length);
    let hash = this.#hash;
    const power = this.#power;
    let front = from;
    for (let next = to; next < end; next++) {
      hash = (Math.imul(hash, MULTIPLIER) + bytes[next]! - Math.imul(power, bytes[front++]! + ADJUSTMENT)) | 0;
      const bit = Math.imul(hash, factor) >>> shift;
      if ((words[bit >>> 5]! & (1 << (bit & 31))) !== 0) break;
    }
    this.#hash = hash;
    return front - from;
  }

  drop(out: number): void {
    if (this.#power === 0) this.#power = powerOf(this.#length);
    this.#power = Math.imul(this.#power, INVERSE);
    this.#hash = (this.#hash - Math.imul(this.#power, out + ADJUSTMENT)) | 0;
    this.#length -= 1;
  }
}

/** By squaring. */
function powerOf(exponent: number): number {
  let [power, square] = [1, MULTIPLIER];
  for (let left = exponent; left > 0; left = Math.floor(left / 2)) {
    if (left % 2 === 1) power = Math.imul(power, square);
    square = Math.imul(square, square);
  }
  return power;
}

export function weakSum(name: WeakName): WeakSum {
  return name === "rollsum" ? new Rollsum() : new RabinKarp();
}
