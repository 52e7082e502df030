/**
 * Pages of the base in a memory of fixed size, whatever the size of the base. A base that fits has all its pages side by side; of another the
 * pages that were used lately are kept (a clock: each use gives a page one more round).
 */
import type { Base } from "./base.ts";

export const PAGE_BYTES = 64 << 10;

export class BasePages {
  readonly #base: Base;
  readonly #memory: Uint8Array;
  readonly #slots: number;
  readonly #fitsWhole: boolean;
  /** The page of each slot; -1 for none. */
  readonly #pageOf: Float64Array;
  readonly #isUsed: Uint8Array;
  readonly #slotOf = new Map<number, number>();
  #hand = 0;

  /** @param memory of at least one page */
  constructor(base: Base, memory: Uint8Array) {
    this.#base = base;
    this.#memory = memory;
    this.#slots = Math.floor(memory.length / PAGE_BYTES);
    this.#fitsWhole = base.size <= memory.length;
    if (this.#fitsWhole) this.#slots = Math.max(1, Math.ceil(base.size / PAGE_BYTES));
    this.#pageOf = new Float64Array(this.#slots).fill(-1);
    this.#isUsed = new Uint8Array(this.#slots);
  }

  /** Where in the memory the page begins; undefined while it is not there. */
  find(page: number): number | undefined {
    const slot = this.#fitsWhole ? page : this.#slotOf.get(page);
    if (slot === undefined || this.#pageOf[slot] !== page) return undefined;
    this.#isUsed[slot] = 1;
    return slot * PAGE_BYTES;
  }

  /** The first so many pages were put where they belong by somebody else; only of a base that fits. */
  hold(pages: number): void {
    for (let page = 0; page < pages; page++) this.#pageOf[page] = page;
  }

  /** Forgets what was used lately, so that what comes next does not depend on what was before. A base that fits is kept. */
  forget(): void {
    if (this.#fitsWhole) return;
    this.#slotOf.clear();
    this.#pageOf.fill(-1);
    this.#isUsed.fill(0);
    this.#hand = 0;
  }

  /** Gets it if need be; another page may go for it. @throws what the base throws */
  async load(page: number): Promise<number> {
    const there = this.find(page);
    if (there !== undefined) return there;
    const slot = this.#fitsWhole ? page : this.#freeSlot();
    const at = slot * PAGE_BYTES;
    const position = page * PAGE_BYTES;
    await this.#base.read(this.#memory.subarray(at, at + Math.min(PAGE_BYTES, this.#base.size - position)), position);
    this.#pageOf[slot] = page;
    this.#isUsed[slot] = 1;
    if (!this.#fitsWhole) this.#slotOf.set(page, slot);
    return at;
  }

  #freeSlot(): number {
    for (;;) {
      const slot = this.#hand;
      this.#hand = (slot + 1) % this.#slots;
      if (this.#isUsed[slot] === 1) {
        this.#isUsed[slot] = 0;
        continue;
      }
      this.#slotOf.delete(this.#pageOf[slot]!);
      this.#pageOf[slot] = -1;
      return slot;
    }
  }
}
