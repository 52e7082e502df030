/**
 * The sums that are rolled over a file byte by byte (librsync §1, "Weak sums"). All arithmetic wraps: 16 bits in the halves of a rollsum,
 * 32 in Rabin-Karp.
 */
import type { WeakName } from "./kinds.ts";

export interface WeakSum {
  /** As it stands in signatures: 32 bits, unsigned. */
  readonly value: number;
  /** Forgets what it has seen. */
  reset(): void;
  /** Takes in bytes `[from, to)`. */
  update(bytes: Uint8Array, from: number, to: number): void;
  /** Moves the window on by one byte: `out` leaves it at its front, `into` joins it at its end. */
  rotate(out: number, into: number): void;
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

  rotate(out: number, into: number): void {
    this.#low = (this.#low + into - out) | 0;
    this.#high = (this.#high + this.#low - Math.imul(this.#length, out + ROLLSUM_OFFSET)) | 0;
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

  rotate(out: number, into: number): void {
    if (this.#power === 0) this.#power = powerOf(this.#length);
    this.#hash = (Math.imul(this.#hash, MULTIPLIER) + into - Math.imul(this.#power, out + ADJUSTMENT)) | 0;
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
