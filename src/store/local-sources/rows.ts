/**
 * Rows of numbers, as they lie in memory and in files: six words for a file, twelve for a digest that is known. Both begin with the same key:
 *
 *     word 0    size, low 32 bits
 *     word 1    size, bits 32-47; start, bits 32-47
 *     word 2    start, low 32 bits
 *     word 3    what the start counts in: the number of a device, or where the name of a tree's file lies in the index
 *     file      4: hash of the path, 5: hash of the last component
 *     known     4-11: sha256
 *
 * Rows are sorted by size, then by place. Words have the byte order of the machine; files of another order are none (index-file.ts).
 */

import { releaseOwn } from "../../sys/release-buffer.ts";

export const KEY_WORDS = 4;
export const FILE_WORDS = 6;
export const KNOWN_WORDS = 12;
/** What sizes and starts may be: 256 TiB, less one. */
export const MAX_NUMBER = 2 ** 48 - 1;

const LOW = 0x1_0000_0000;

export interface Key {
  readonly size: number;
  readonly ref: number;
  readonly start: number;
}

export function writeKey(words: Uint32Array, at: number, size: number, ref: number, start: number): void {
  words[at] = size % LOW;
  words[at + 1] = Math.floor(size / LOW) + Math.floor(start / LOW) * 0x1_0000;
  words[at + 2] = start % LOW;
  words[at + 3] = ref;
}

export function sizeAt(words: Uint32Array, at: number): number {
  return (words[at + 1]! & 0xffff) * LOW + words[at]!;
}

export function startAt(words: Uint32Array, at: number): number {
  return (words[at + 1]! >>> 16) * LOW + words[at + 2]!;
}

export function refAt(words: Uint32Array, at: number): number {
  return words[at + 3]!;
}

/** Compares a row's key to one: negative when the row comes first. */
export function compareKey(words: Uint32Array, at: number, size: number, ref: number, start: number): number {
  return sizeAt(words, at) - size || words[at + 3]! - ref || startAt(words, at) - start;
}

/** Where the first row is that does not come before the key. @param stride words of a row */
export function lowerBound(words: Uint32Array, stride: number, { size, ref, start }: Key): number {
  let low = 0;
  let high = words.length / stride;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (compareKey(words, middle * stride, size, ref, start) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Gives the memory of rows back at once: one layer's follow another's, and nobody else has them. */
export function releaseWords(words: Uint32Array): void {
  releaseOwn(new Uint8Array(words.buffer, words.byteOffset, words.byteLength));
}

/** A table that grows. */
export class Rows implements Disposable {
  readonly stride: number;
  #words: Uint32Array<ArrayBuffer>;
  #length = 0;

  constructor(stride: number, capacity = 256) {
    this.stride = stride;
    this.#words = new Uint32Array(stride * capacity);
  }

  get length(): number {
    return this.#length;
  }

  /** All rows, until the next one is added. */
  get words(): Uint32Array {
    return this.#words.subarray(0, this.#length * this.stride);
  }

  /** A new row. @returns where it begins in what is then {@link words} */
  add(size: number, ref: number, start: number): number {
    const at = this.#length++ * this.stride;
    if (at === this.#words.length) {
      const bytes = this.#words.byteLength + (this.#length >> 1) * this.stride * 4 + this.stride * 4;
      this.#words = new Uint32Array(this.#words.buffer.transfer(bytes));
    }
    writeKey(this.#words, at, size, ref, start);
    return at;
  }

  set(at: number, word: number): void {
    this.#words[at] = word;
  }

  setAll(at: number, words: Uint32Array): void {
    this.#words.set(words, at);
  }

  /** The rows in the order of their keys; of equal keys the later row comes last. */
  sorted(): Uint32Array<ArrayBuffer> {
    const { stride } = this;
    const words = this.words;
    const order = new Uint32Array(this.#length).map((_, row) => row * stride);
    order.sort((a, b) => compareKey(words, a, sizeAt(words, b), words[b + 3]!, startAt(words, b)) || a - b);
    const sorted = new Uint32Array(words.length);
    for (let row = 0; row < order.length; row++) {
      const from = order[row]!;
      for (let word = 0; word < stride; word++) sorted[row * stride + word] = words[from + word]!;
    }
    releaseWords(order);
    return sorted;
  }

  [Symbol.dispose](): void {
    this.#length = 0;
    releaseWords(this.#words);
  }
}
