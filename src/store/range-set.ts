/**
 * Ordered, merged, half-open ranges of byte positions: what is done of a blob whose pieces land out of order. Lookups are
 * by bisection; a change costs the ranges it touches plus one splice, and a download keeps few ranges apart at a time.
 */
import type { ByteRange } from "./types.ts";

export class RangeSet implements Iterable<ByteRange> {
  #ranges: ByteRange[] = [];

  constructor(ranges: Iterable<ByteRange> = []) {
    for (const range of ranges) this.add(range.start, range.end);
  }

  /** Adds `[start, end)`; merges with what it overlaps or touches. An empty range adds nothing. */
  add(start: number, end: number): void {
    if (end <= start) return;
    const first = this.#firstEndingAtOrAfter(start);
    let next = first;
    let merged: ByteRange = { start, end };
    for (let range = this.#ranges[next]; range !== undefined && range.start <= end; range = this.#ranges[++next]) {
      merged = { start: Math.min(merged.start, range.start), end: Math.max(merged.end, range.end) };
    }
    this.#ranges.splice(first, next - first, merged);
  }

  /** Takes `[start, end)` out. */
  delete(start: number, end: number): void {
    if (end <= start) return;
    const first = this.#firstEndingAtOrAfter(start + 1);
    let next = first;
    const kept: ByteRange[] = [];
    for (let range = this.#ranges[next]; range !== undefined && range.start < end; range = this.#ranges[++next]) {
      if (range.start < start) kept.push({ start: range.start, end: start });
      if (range.end > end) kept.push({ start: end, end: range.end });
    }
    this.#ranges.splice(first, next - first, ...kept);
  }

  /** Whether all of `[start, end)` is in the set; true for an empty range. */
  has(start: number, end: number): boolean {
    if (end <= start) return true;
    const range = this.#ranges[this.#firstEndingAtOrAfter(start + 1)];
    return range !== undefined && range.start <= start && end <= range.end;
  }

  /** Whether any byte of `[start, end)` is in the set. */
  overlaps(start: number, end: number): boolean {
    if (end <= start) return false;
    const range = this.#ranges[this.#firstEndingAtOrAfter(start + 1)];
    return range !== undefined && range.start < end;
  }

  /** The parts of `[start, end)` that are in the set, in order. */
  within(start: number, end: number): ByteRange[] {
    const parts: ByteRange[] = [];
    if (end <= start) return parts;
    let index = this.#firstEndingAtOrAfter(start + 1);
    for (let range = this.#ranges[index]; range !== undefined && range.start < end; range = this.#ranges[++index]) {
      parts.push({ start: Math.max(start, range.start), end: Math.min(end, range.end) });
    }
    return parts;
  }

  /** The parts of `[start, end)` that are not in the set, in order. */
  missing(start: number, end: number): ByteRange[] {
    const gaps: ByteRange[] = [];
    let position = start;
    for (const part of this.within(start, end)) {
      if (part.start > position) gaps.push({ start: position, end: part.start });
      position = part.end;
    }
    if (position < end) gaps.push({ start: position, end });
    return gaps;
  }

  /** The end of the run of bytes that begins at `position`; `position` itself when that byte is missing. */
  contiguousEnd(position = 0): number {
    const range = this.#ranges[this.#firstEndingAtOrAfter(position + 1)];
    return range !== undefined && range.start <= position ? range.end : position;
  }

  /** Bytes in the set. */
  get bytes(): number {
    return this.#ranges.reduce((sum, range) => sum + range.end - range.start, 0);
  }

  get isEmpty(): boolean {
    return this.#ranges.length === 0;
  }

  /** Ordered, merged copies; later changes of the set do not show in it. */
  toArray(): ByteRange[] {
    return [...this.#ranges];
  }

  clear(): void {
    this.#ranges = [];
  }

  [Symbol.iterator](): Iterator<ByteRange> {
    return this.#ranges[Symbol.iterator]();
  }

  /** Index of the first range whose end is at or after `position`, which is where a range starting there belongs. */
  #firstEndingAtOrAfter(position: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#ranges[middle]!.end < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
