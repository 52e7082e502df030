/**
 * What each byte of the middle file is made of: the commands of the first delta (librsync §2), by where in that file they begin. Sixteen bytes for
 * each command, in pages; what is more than may be held goes to a file, and the pages that were used lately are kept.
 */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Base } from "../base.ts";
import { BasePages, PAGE_BYTES } from "../base-pages.ts";

/** A file to put pages into, which are read again later. */
export interface Spill extends Base {
  append(bytes: Uint8Array): Promise<void>;
}

export interface CommandIndexOptions {
  /** Bytes of commands that are held. Default 32 MiB: two million commands. */
  readonly memory?: number;
  /** Makes the file for more commands than that. Default: more is `DELTA_LIMIT`. */
  readonly spill?: (() => Promise<Spill>) | undefined;
  /** Commands at most. Default 2^26, which take 1 GiB of the file. */
  readonly commandLimit?: number;
}

const DEFAULT_MEMORY = 32 << 20;
const DEFAULT_COMMANDS = 2 ** 26;
/** Of a command: where in the middle file it begins, and what it begins with. */
const NUMBERS = 2;
const PAGE_COMMANDS = PAGE_BYTES / Float64Array.BYTES_PER_ELEMENT / NUMBERS;

/** A command: number `slot` of a page, which is lent until another page is loaded. */
export interface Place {
  page: Float64Array;
  slot: number;
  /** Number of the page; -1 for no place. */
  number: number;
}

/**
 * First `add`, with `makeRoom` whenever `isFull`, then `close`, then look for commands. A command begins with a byte of the old file (its number), or
 * with one of the first delta (-1 - its number).
 */
export class CommandIndex {
  readonly #limit: number;
  readonly #mostPages: number;
  readonly #makeSpill: CommandIndexOptions["spill"];
  #spill: Spill | undefined;
  #cache: { readonly pages: BasePages; readonly numbers: Float64Array } | undefined;
  /** Those that are held: all, or those since the last spill. */
  #pages: Float64Array<ArrayBuffer>[] = [];
  /** Those that were written to the file, to be filled again. */
  #spare: Float64Array<ArrayBuffer>[] = [];
  #page = new Float64Array(0);
  #used = PAGE_COMMANDS;
  /** Where in the middle file each page begins. */
  readonly #firsts: number[] = [];
  #size = 0;
  /** What a command begins with that the last one would go on with. */
  #next = Number.NaN;

  constructor({ memory = DEFAULT_MEMORY, spill, commandLimit = DEFAULT_COMMANDS }: CommandIndexOptions = {}) {
    this.#mostPages = Math.max(1, Math.floor(memory / PAGE_BYTES));
    this.#makeSpill = spill;
    this.#limit = commandLimit;
  }

  /** Bytes of the middle file. */
  get size(): number {
    return this.#size;
  }

  /** Whether `makeRoom` has to be called. */
  get isFull(): boolean {
    return this.#pages.length > this.#mostPages;
  }

  /** The next so many bytes of the middle file. @throws VarveError `DELTA_LIMIT` */
  add(from: number, length: number): void {
    if (from !== this.#next) this.#append(from);
    this.#next = from < 0 ? from - length : from + length;
    this.#size += length;
  }

  #append(from: number): void {
    if (this.#used === PAGE_COMMANDS) {
      if (this.#firsts.length * PAGE_COMMANDS >= this.#limit) throw tooMany(this.#limit);
      this.#page = this.#spare.pop() ?? new Float64Array(NUMBERS * PAGE_COMMANDS);
      this.#pages.push(this.#page);
      this.#firsts.push(this.#size);
      this.#used = 0;
    }
    this.#page[NUMBERS * this.#used] = this.#size;
    this.#page[NUMBERS * this.#used + 1] = from;
    this.#used += 1;
  }

  /** Puts all pages but the last, which is being filled, into the file. @throws VarveError `DELTA_LIMIT`; what the file throws */
  async makeRoom(): Promise<void> {
    if (this.#makeSpill === undefined) throw tooMany(this.#mostPages * PAGE_COMMANDS);
    this.#spill ??= await this.#makeSpill();
    const full = this.#pages.splice(0, this.#pages.length - 1);
    await this.#write(this.#spill, full);
    this.#spare = full;
  }

  /** Nothing more is added. @throws what the file throws */
  async close(): Promise<void> {
    if (this.#spill === undefined) return;
    await this.#write(this.#spill, this.#pages.splice(0));
    this.#spare = [];
    const numbers = new Float64Array((this.#mostPages * PAGE_BYTES) / Float64Array.BYTES_PER_ELEMENT);
    this.#cache = { pages: new BasePages(this.#spill, new Uint8Array(numbers.buffer)), numbers };
  }

  async #write(spill: Spill, pages: readonly Float64Array[]): Promise<void> {
    for (const { buffer } of pages) await spill.append(new Uint8Array(buffer));
  }

  /** Number of the page that has the byte of the middle file, which is there. */
  pageOf(position: number): number {
    const firsts = this.#firsts;
    let [low, high] = [0, firsts.length];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (firsts[middle]! <= position) low = middle;
      else high = middle;
    }
    return low;
  }

  /** Goes to the page where it is held, and says whether it is. */
  goToHeld(place: Place, number: number): boolean {
    const page = this.#cache === undefined ? this.#pages[number] : this.#cached(this.#cache.pages.find(number));
    if (page === undefined) return false;
    place.page = page;
    place.number = number;
    return true;
  }

  /** Holds the page from now on; others may go for it. @throws what the file throws */
  async load(number: number): Promise<void> {
    await this.#cache?.pages.load(number);
  }

  #cached(at: number | undefined): Float64Array | undefined {
    const first = at === undefined ? 0 : at / Float64Array.BYTES_PER_ELEMENT;
    return at === undefined ? undefined : this.#cache?.numbers.subarray(first, first + NUMBERS * PAGE_COMMANDS);
  }

  /** Goes to the command of the place's page that has the byte. */
  goToCommand(place: Place, position: number): void {
    let [low, high] = [0, this.#countOf(place.number)];
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (place.page[NUMBERS * middle]! <= position) low = middle;
      else high = middle;
    }
    place.slot = low;
  }

  /** Goes to the command behind, and says whether that is on the same page. */
  goOn(place: Place): boolean {
    if (place.slot + 1 >= this.#countOf(place.number)) return false;
    place.slot += 1;
    return true;
  }

  /** Where in the middle file the command begins. */
  startOf({ page, slot }: Place): number {
    return page[NUMBERS * slot]!;
  }

  /** Where in the middle file the command ends. */
  endOf({ page, slot, number }: Place): number {
    if (slot + 1 < this.#countOf(number)) return page[NUMBERS * (slot + 1)]!;
    return this.#firsts[number + 1] ?? this.#size;
  }

  /** What it begins with. */
  fromOf({ page, slot }: Place): number {
    return page[NUMBERS * slot + 1]!;
  }

  #countOf(page: number): number {
    return page + 1 < this.#firsts.length ? PAGE_COMMANDS : this.#used;
  }
}

function tooMany(commands: number): VarveError {
  return new VarveError("DELTA_LIMIT", `the first delta has more than ${commands} commands`);
}
