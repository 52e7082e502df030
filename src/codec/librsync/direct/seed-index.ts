/**
 * The index over the base: which seed lies where. Four bytes for each, in buckets of four: a seed's number, and in the bits that the number
 * leaves free a tag, so that most of what is asked for in vain costs no look at the base. The base is read once, in order.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Base } from "../base.ts";
import { BasePages, PAGE_BYTES } from "../base-pages.ts";
import { instantiate, memoryOf, type NumberFunction } from "../../wasm/module.ts";
import { BUCKET_BYTES, FILTER_WORD_BYTES, planMemory } from "./memory-plan.ts";
import { backwardsProgram, forwardsProgram, insertProgram, realignProgram, runEntry, scanProgram } from "./programs.ts";
import { FOUND_BUCKET, FOUND_TAG, RUN_BUCKET, RUN_TAG, SEED_BYTES, TABLE } from "./seed-hash.ts";

/** Of the new file: what is compared at once. */
export const WINDOW_BYTES = 4 << 20;
/** Programs look at whole words, also behind the last byte. */
const SLACK = 64;
const READ_BYTES = 1 << 20;
/** More tell nothing more. */
const MOST_TAG_BITS = 20;

export interface SeedIndexOptions {
  /** Bytes. */
  readonly memory: number;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the base were read. */
  readonly onRead: (bytes: number) => void;
}

export class SeedIndex {
  readonly #base: Base;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #words: Uint32Array;
  readonly #spacing: number;
  readonly #numberBits: number;
  /** As `TABLE_SHAPE` names them. */
  readonly #shape: readonly number[];
  readonly #insert: NumberFunction;
  readonly #scan: NumberFunction;
  /** Where the window begins, and the pages. */
  readonly windowAt: number;
  readonly pagesAt: number;
  readonly pages: BasePages;
  readonly #fitsWhole: boolean;
  /** Counts of equal bytes from two addresses on, or before them; and {@link realignProgram}. */
  readonly forwards: NumberFunction;
  readonly backwards: NumberFunction;
  readonly realign: NumberFunction;

  private constructor(base: Base, memoryBytes: number) {
    const { spacing, bucketBits, filterBits, pageBytes } = planMemory(base.size, memoryBytes);
    const filterAt = TABLE + BUCKET_BYTES * 2 ** bucketBits;
    this.windowAt = filterAt + FILTER_WORD_BYTES * 2 ** filterBits;
    this.pagesAt = this.windowAt + WINDOW_BYTES + SLACK;
    const memory = memoryOf(this.pagesAt + pageBytes + SLACK);
    this.#base = base;
    this.#bytes = new Uint8Array(memory.buffer);
    this.#words = new Uint32Array(memory.buffer);
    this.#spacing = spacing;
    this.#numberBits = Math.max(32 - MOST_TAG_BITS, Math.ceil(Math.log2(base.size / spacing + 2)));
    const filterShift = Math.log2(BUCKET_BYTES) + bucketBits - filterBits;
    this.#shape = [64 - bucketBits, 2 ** (32 - this.#numberBits) - 1, this.#numberBits, filterAt, filterShift];
    this.#words.fill(RUN_TAG * 2 ** this.#numberBits, RUN_BUCKET / 4, RUN_BUCKET / 4 + 4);
    this.#insert = instantiate(insertProgram(), memory);
    this.#scan = instantiate(scanProgram(), memory);
    this.forwards = instantiate(forwardsProgram(), memory);
    this.backwards = instantiate(backwardsProgram(), memory);
    this.realign = instantiate(realignProgram(), memory);
    this.#fitsWhole = base.size <= pageBytes;
    this.pages = new BasePages(base, this.#bytes.subarray(this.pagesAt, this.pagesAt + pageBytes));
  }

  /** @throws what the base throws; the signal's reason */
  static async build(base: Base, options: SeedIndexOptions): Promise<SeedIndex> {
    const index = new SeedIndex(base, options.memory);
    await index.#fill(options);
    return index;
  }

  /** The bytes of the new file that are looked at. Whoever compares fills them. */
  get window(): Uint8Array {
    return this.#bytes.subarray(this.windowAt, this.windowAt + WINDOW_BYTES);
  }

  /** Where in the window the first seed is, in `[at, last]`, that the base may have; behind `last` for none. */
  scan(at: number, last: number): number {
    return this.#scan(this.windowAt + at, this.windowAt + last, ...this.#shape) - this.windowAt;
  }

  /** How many bytes, at least, the run of one byte has that {@link scan} found at `at`; 0 where it found none. */
  runLength(at: number): number {
    if (this.#words[FOUND_BUCKET / 4] !== RUN_BUCKET) return 0;
    const seeds = this.#words[runEntry(this.#bytes[this.windowAt + at]!) / 4 + 1]!;
    return (seeds - 1) * this.#spacing + SEED_BYTES;
  }

  /** Where in the base what {@link scan} found at `at` may be. */
  candidates(at: number): number[] {
    if (this.#words[FOUND_BUCKET / 4] === RUN_BUCKET) {
      return [this.#words[runEntry(this.#bytes[this.windowAt + at]!) / 4]! * this.#spacing];
    }
    const bucket = this.#words[FOUND_BUCKET / 4]! / 4;
    const tag = this.#words[FOUND_TAG / 4]!;
    const mask = 2 ** this.#numberBits - 1;
    const slots = [0, 1, 2, 3].map((slot) => this.#words[bucket + slot]!);
    return slots.filter((slot) => slot >>> this.#numberBits === tag).map((slot) => ((slot & mask) - 1) * this.#spacing);
  }

  /** A base that fits is read to where its pages are; another through the window, which nobody needs yet. */
  async #fill({ signal, onRead }: SeedIndexOptions): Promise<void> {
    const { size } = this.#base;
    /** Address of the byte at `position`, which is the first that is there. */
    let origin = this.#fitsWhole ? this.pagesAt : this.windowAt;
    let position = 0;
    let number = 0;
    for (let read = 0; read < size;) {
      const into = origin + read - position;
      const bytes = Math.min(READ_BYTES, size - read);
      await this.#base.read(this.#bytes.subarray(into, into + bytes), read);
      read += bytes;
      const first = number * this.#spacing;
      const seeds = Math.max(0, Math.floor((read - first - SEED_BYTES) / this.#spacing) + 1);
      if (seeds > 0) this.#insert(origin + first - position, into + bytes, number, this.#spacing, ...this.#shape);
      number += seeds;
      if (this.#fitsWhole) this.pages.hold(Math.floor(read / PAGE_BYTES));
      else {
        // What the next seed begins with goes to the front.
        const kept = Math.max(position, Math.min(read, number * this.#spacing));
        this.#bytes.copyWithin(origin, origin + kept - position, origin + read - position);
        position = kept;
      }
      onRead(read);
      signal?.throwIfAborted();
      await turn();
    }
    if (this.#fitsWhole) this.pages.hold(Math.ceil(size / PAGE_BYTES));
  }
}
