/** Walks over what an earlier try has left, from the target's first byte to its last: much cheaper than a search for each of millions of pieces. */
import { RangeSet } from "../store/range-set.ts";
import type { ByteRange } from "../store/types.ts";

export class HeldCursor {
  /** Whether the byte that was asked for last is here. */
  isHeld = false;
  readonly #ranges: readonly ByteRange[];
  #index = 0;
  /** Up to where all is as at the byte that was asked for last. */
  #until = 0;

  constructor(held: Iterable<ByteRange>) {
    this.#ranges = new RangeSet(held).toArray();
  }

  /** How many bytes from `position` on are all here, or all missing. @param position never less than the last one */
  alike(position: number): number {
    while (position >= this.#until) this.#step(position);
    return this.#until - position;
  }

  #step(position: number): void {
    const range = this.#ranges[this.#index];
    this.isHeld = range !== undefined && position >= range.start;
    if (range === undefined) this.#until = Infinity;
    else if (position < range.start) this.#until = range.start;
    else {
      this.#until = range.end;
      this.#index++;
    }
  }
}
