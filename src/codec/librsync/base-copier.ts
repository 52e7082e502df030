/** Copies parts of the base for a patch: long ones straight from where it is, short ones by way of pages that were used lately. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Base } from "./base.ts";
import { BasePages, PAGE_BYTES } from "./base-pages.ts";
import type { CopyOutput } from "./patch-output.ts";

const CACHE_BYTES = 16 << 20;

export class BaseCopier {
  readonly #base: Base;
  readonly #memory: Uint8Array;
  readonly #pages: BasePages;
  /** The page that was used last, and where it is; forgotten before another may get its place. */
  #page = -1;
  #pageAt = 0;

  constructor(base: Base) {
    this.#base = base;
    this.#memory = new Uint8Array(Math.min(CACHE_BYTES, Math.max(1, Math.ceil(base.size / PAGE_BYTES)) * PAGE_BYTES));
    this.#pages = new BasePages(base, this.#memory);
  }

  /** Copies within one page that is there where that does not fill the output, and says whether it did. @throws VarveError `DELTA_BASE_DIFFERS` */
  copyAtOnce(start: number, length: number, output: CopyOutput<unknown>): boolean {
    if (start + length > this.#base.size) {
      const message = `the delta copies ${length} bytes from ${start} on, and the base has ${this.#base.size}`;
      throw new VarveError("DELTA_BASE_DIFFERS", message);
    }
    const page = Math.floor(start / PAGE_BYTES);
    const within = start - page * PAGE_BYTES;
    if (within + length > PAGE_BYTES) return false;
    if (page !== this.#page) {
      const at = this.#pages.find(page);
      if (at === undefined) return false;
      this.#page = page;
      this.#pageAt = at;
    }
    const from = this.#pageAt + within;
    return output.putAtOnce(this.#memory, from, from + length);
  }

  /** Copies anything, and gives out what is full. */
  async *copy<Piece>(
    start: number,
    length: number,
    output: CopyOutput<Piece>,
    signal?: AbortSignal,
  ): AsyncGenerator<Piece, void, undefined> {
    const end = start + length;
    this.#page = -1;
    for (let at = start; at < end;) {
      const into = output.take(Math.min(end - at, output.room));
      if (into.length >= PAGE_BYTES) await this.#base.read(into, at);
      else await this.#copyPaged(into, at);
      at += into.length;
      if (output.room > 0) continue;
      signal?.throwIfAborted();
      yield* output.rest();
    }
  }

  async #copyPaged(into: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < into.length;) {
      const page = Math.floor((position + done) / PAGE_BYTES);
      const within = position + done - page * PAGE_BYTES;
      const at = await this.#pages.load(page);
      const some = this.#memory.subarray(at + within, at + Math.min(PAGE_BYTES, within + into.length - done));
      into.set(some, done);
      done += some.length;
    }
  }
}
