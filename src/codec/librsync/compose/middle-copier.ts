/** Writes what a copy of the middle file is made of: copies of the old one, and literals of the first delta. */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Base } from "../base.ts";
import { BasePages, PAGE_BYTES } from "../base-pages.ts";
import type { DeltaWriter } from "../delta-writer.ts";
import type { CommandIndex, Place } from "./command-index.ts";

const LITERAL_BYTES = 16 << 20;
/** When so much waits to be taken from the writer, nothing more is added. */
const WAITING_BYTES = 256 << 10;

/**
 * `begin` a copy, then `goOn` until that says that all is done; where it says no, take what was written, `load`, and go on. Most copies need nothing
 * that has to be waited for, and there may be millions.
 */
export class MiddleCopier {
  readonly #index: CommandIndex;
  readonly #writer: DeltaWriter;
  readonly #literals: BasePages;
  readonly #memory: Uint8Array;
  readonly #place: Place = { page: new Float64Array(0), slot: 0, number: -1 };
  /** What is left of the copy at hand. */
  #at = 0;
  #left = 0;
  /** Pages that were not there; -1 for none. */
  #missingCommands = -1;
  #missingLiterals = -1;
  #taken = 0;

  /** @param literals the first deltas' files, one behind the other */
  constructor(index: CommandIndex, literals: Base, writer: DeltaWriter) {
    this.#index = index;
    this.#writer = writer;
    const pages = Math.max(1, Math.ceil(literals.size / PAGE_BYTES));
    this.#memory = new Uint8Array(Math.min(LITERAL_BYTES, pages * PAGE_BYTES));
    this.#literals = new BasePages(literals, this.#memory);
  }

  /** @throws VarveError `DELTA_BASE_DIFFERS` */
  begin(start: number, length: number): void {
    if (start + length > this.#index.size) {
      const message = `the second delta copies ${length} bytes from ${start} on, and the first makes ${this.#index.size}`;
      throw new VarveError("DELTA_BASE_DIFFERS", message, { hint: HINT });
    }
    this.#at = start;
    this.#left = length;
  }

  /** Whether the copy is written whole. */
  goOn(): boolean {
    while (this.#left > 0) {
      if (this.#writer.size - this.#taken > WAITING_BYTES) return false;
      if (!this.#isInPlace() && !this.#goToPlace()) return false;
      const written = this.#writeFrom(this.#index.fromOf(this.#place));
      if (written === 0) return false;
      this.#at += written;
      this.#left -= written;
    }
    return true;
  }

  /** Gets what `goOn` lacked; what was written was taken. @throws what the files throw */
  async load(): Promise<void> {
    this.#taken = this.#writer.size;
    if (this.#missingCommands >= 0) {
      // What the place is on may go for it.
      this.#place.number = -1;
      await this.#index.load(this.#missingCommands);
      this.#missingCommands = -1;
    }
    if (this.#missingLiterals >= 0) await this.#literals.load(this.#missingLiterals);
    this.#missingLiterals = -1;
  }

  #isInPlace(): boolean {
    const [index, place] = [this.#index, this.#place];
    if (place.number < 0 || this.#at < index.startOf(place)) return false;
    if (this.#at < index.endOf(place)) return true;
    // Files are mostly copied in order.
    return index.goOn(place) && this.#at >= index.startOf(place) && this.#at < index.endOf(place);
  }

  #goToPlace(): boolean {
    const number = this.#index.pageOf(this.#at);
    if (number !== this.#place.number && !this.#index.goToHeld(this.#place, number)) {
      this.#missingCommands = number;
      return false;
    }
    this.#index.goToCommand(this.#place, this.#at);
    return true;
  }

  /** Writes what can be of the command at hand, and says how many bytes that makes. */
  #writeFrom(from: number): number {
    const within = this.#at - this.#index.startOf(this.#place);
    const length = Math.min(this.#left, this.#index.endOf(this.#place) - this.#at);
    if (from >= 0) {
      this.#writer.copy(from + within, length);
      return length;
    }
    const position = -1 - from + within;
    const page = Math.floor(position / PAGE_BYTES);
    const at = this.#literals.find(page);
    if (at === undefined) {
      this.#missingLiterals = page;
      return 0;
    }
    const first = position - page * PAGE_BYTES;
    const some = Math.min(length, PAGE_BYTES - first);
    this.#writer.literal(this.#memory.subarray(at + first, at + first + some));
    return some;
  }
}

const HINT = "the second has to be made from what the first makes";
