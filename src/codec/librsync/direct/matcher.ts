/**
 * Finds what of the new file the base has (librsync §6). Seeds that the index knows are compared with the base and made longer to both sides;
 * where a match ends, the same displacement is tried again a few bytes on, because most changes in files keep their length. Matches that would
 * cost more than their bytes are dropped, and so are those that a later one turns out to hold: what is alike in many places, as headers of tars are, is
 * found first where it comes first, in pieces, and then all of it where what follows it is too.
 */
import { PAGE_BYTES } from "../base-pages.ts";
import type { DeltaWriter } from "../delta-writer.ts";
import { PendingCopies } from "./pending-copies.ts";
import type { SeedIndex } from "./seed-index.ts";
import { WINDOW_BYTES } from "./seed-index.ts";
import { SEED_BYTES } from "./seed-hash.ts";

/**
 * A copy takes 3 to 17 bytes, and cuts a literal in two, which compresses worse then. Of two sets of Debian's packages (217 MB), with 18, 24, 32 and 48
 * here, the delta compresses to 1, 1.005, 1.014 and 1.06 times the smallest, in fewer and fewer copies.
 */
const LEAST_MATCH = 24;
/** How far on the displacement of the last match is tried again. With 16 the same delta is 0.7 % larger, with 8 another 1.3 %. */
const MOST_SKIP = 32;
/** What has to be the same there. With 16 the delta is 4 % larger. */
const REALIGNED_BYTES = 8;
/** Of what was looked at, what a match found later may still reach back into, when the window moves on. */
const KEPT_BYTES = 256 << 10;
/** How far a match may reach back over others: headers are not larger, and a look at more would be taken at every match of what repeats itself. */
const MOST_TAKEN_BACK = 16 << 10;

export class Matcher {
  readonly #index: SeedIndex;
  readonly #baseSize: number;
  readonly #writer: DeltaWriter;
  readonly #window: Uint8Array;
  /** In the window: bytes before it are written, bytes before the second are looked at, the third is behind the last. */
  #written = 0;
  #at = 0;
  #end = 0;
  /** What is not written yet. */
  readonly #copies = new PendingCopies();
  /** Where in the base what follows a match would be, while it may go on. At first the files may well begin alike. */
  #follows = true;
  #next = 0;

  constructor(index: SeedIndex, baseSize: number, writer: DeltaWriter) {
    this.#index = index;
    this.#baseSize = baseSize;
    this.#writer = writer;
    this.#window = index.window;
  }

  /** Takes what there is room for, and says how much that was; without room, `match` is to be called. */
  take(bytes: Uint8Array): number {
    const some = bytes.subarray(0, WINDOW_BYTES - this.#end);
    this.#window.set(some, this.#end);
    this.#end += some.length;
    return some.length;
  }

  /** Looks at what is in the window, and makes room. @param isLast when nothing follows @throws what the base throws */
  async match(isLast: boolean): Promise<void> {
    for (;;) {
      if (this.#follows) await this.#follow();
      if (this.#follows) break;
      const last = this.#end - SEED_BYTES;
      if (this.#at > last) break;
      this.#at = this.#index.scan(this.#at, last);
      if (this.#at > last) break;
      await this.#tryCandidates();
    }
    this.#moveOn(isLast ? this.#end : Math.max(0, this.#at - KEPT_BYTES));
  }

  /** Makes the last match longer, as often as it comes back after a few other bytes. Follows on where the window ends before that does. */
  async #follow(): Promise<void> {
    for (;;) {
      const length = await this.#countForwards(this.#at, this.#next);
      if (length > 0) this.#copy(this.#at, this.#next, length);
      if (this.#at === this.#end) return;
      const skip = this.#skipTo();
      if (skip === 0) break;
      this.#at += skip;
      this.#next += skip;
    }
    this.#follows = false;
  }

  /** How many bytes on the files are alike again; 0 for not soon. Not looked for across pages, for what lies on the other may have to be read. */
  #skipTo(): number {
    const page = Math.floor(this.#next / PAGE_BYTES);
    const within = this.#next - page * PAGE_BYTES;
    const left = Math.min(PAGE_BYTES - within, this.#baseSize - this.#next, this.#end - this.#at);
    const found = this.#index.pages.find(page);
    const most = Math.min(MOST_SKIP, left - REALIGNED_BYTES);
    if (found === undefined || most < 1) return 0;
    return this.#index.realign(this.#index.windowAt + this.#at, this.#index.pagesAt + found + within, most);
  }

  async #tryCandidates(): Promise<void> {
    const seed = this.#at;
    const run = this.#index.runLength(seed);
    for (const found of this.#index.candidates(seed)) {
      if (!this.#mayBe(seed, found)) continue;
      const place = found + (run === 0 ? 0 : await this.#intoRun(seed, found, run));
      const after = await this.#countForwards(seed, place);
      if (after < SEED_BYTES) continue;
      const before = await this.#countBackwards(seed, place);
      if (before + after < LEAST_MATCH) continue;
      this.#copy(seed - before, place - before, before + after);
      this.#follows = true;
      return;
    }
    this.#at = seed + 1;
  }

  /** How far into a run of the base, which has more than follows in the new file, its part begins: as far as the one in the new file has begun before. */
  async #intoRun(seed: number, place: number, length: number): Promise<number> {
    const most = Math.min(length - (await this.#countForwards(seed, place)), seed - this.#earliest());
    let count = 0;
    while (count < most && this.#window[seed - count - 1] === this.#window[seed]) count++;
    return count;
  }

  /** Whether it is worth a look: at once where the page is there, which says no to most that only has the same tag. */
  #mayBe(seed: number, place: number): boolean {
    const page = Math.floor(place / PAGE_BYTES);
    const within = place - page * PAGE_BYTES;
    const found = within + SEED_BYTES <= PAGE_BYTES ? this.#index.pages.find(page) : undefined;
    if (found === undefined) return true;
    const { windowAt, pagesAt } = this.#index;
    return this.#index.forwards(windowAt + seed, pagesAt + found + within, SEED_BYTES) === SEED_BYTES;
  }

  async #countForwards(seed: number, place: number): Promise<number> {
    const { windowAt, pagesAt, pages, forwards } = this.#index;
    const most = Math.min(this.#end - seed, this.#baseSize - place);
    let count = 0;
    while (count < most) {
      const page = Math.floor((place + count) / PAGE_BYTES);
      const within = place + count - page * PAGE_BYTES;
      const limit = Math.min(most - count, PAGE_BYTES - within);
      const found = pages.find(page) ?? (await pages.load(page));
      const equal = forwards(windowAt + seed + count, pagesAt + found + within, limit);
      count += equal;
      if (equal < limit) break;
    }
    return count;
  }

  async #countBackwards(seed: number, place: number): Promise<number> {
    const { windowAt, pagesAt, pages, backwards } = this.#index;
    const most = Math.min(seed - this.#earliest(), place);
    let count = 0;
    while (count < most) {
      const page = Math.ceil((place - count) / PAGE_BYTES) - 1;
      const within = place - count - page * PAGE_BYTES;
      const limit = Math.min(most - count, within);
      const found = pages.find(page) ?? (await pages.load(page));
      const equal = backwards(windowAt + seed - count, pagesAt + found + within, limit);
      count += equal;
      if (equal < limit) break;
    }
    return count;
  }

  /** How far a match may begin before the end of the last one. */
  #earliest(): number {
    return Math.max(this.#written, this.#lastEnd() - MOST_TAKEN_BACK);
  }

  #lastEnd(): number {
    return Math.max(this.#written, this.#copies.end);
  }

  #copy(from: number, place: number, length: number): void {
    this.#copies.dropFrom(from);
    // What the one before has too saves nothing.
    const shared = Math.max(0, this.#lastEnd() - from);
    this.#copies.add(from + shared, place + shared, length - shared);
    this.#at = from + length;
    this.#next = place + length;
  }

  #writeLiterals(to: number): void {
    if (to > this.#written) this.#writer.literal(this.#window.subarray(this.#written, to));
    this.#written = Math.max(this.#written, to);
  }

  /** Writes what there is of the window up to there, and of copies that begin before it all, and moves what is left to the window's front. */
  #moveOn(to: number): void {
    this.#copies.takeBefore(to, (from, place, length) => {
      this.#writeLiterals(from);
      this.#writer.copy(place, length);
      this.#written = from + length;
    });
    this.#writeLiterals(to);
    const moved = this.#written;
    this.#copies.moveBack(moved);
    this.#window.copyWithin(0, moved, this.#end);
    this.#at -= moved;
    this.#end -= moved;
    this.#written = 0;
  }
}
