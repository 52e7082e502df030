/**
 * Makes the new file of the base and a delta (librsync §2). The base is read where copies say, through pages of {@link BasePages} when copies
 * are short, because such lie near each other; what comes out comes in order. Memory: some 20 MiB.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Base } from "./base.ts";
import { BasePages, PAGE_BYTES } from "./base-pages.ts";
import type { DeltaOp } from "./delta-format.ts";
import { DeltaParser } from "./delta-parser.ts";

export interface PatchOptions {
  /** Bytes that may come out at most: a delta of a few bytes can ask for any number of copies. Default: any. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

const OUTPUT_BYTES = 1 << 20;
const CACHE_BYTES = 16 << 20;

/**
 * The new file, in pieces that are lent until the next is asked for. Nothing tells whether base and delta belong together: compare what comes
 * out with a digest that is known.
 * @throws VarveError `DELTA_INVALID`, `DELTA_BASE_DIFFERS` when a copy reaches beyond the base, `INGEST_LIMIT`; what base and delta throw
 */
export async function* applyDelta(
  base: Base,
  delta: AsyncIterable<Uint8Array>,
  options: PatchOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { limit = Number.MAX_SAFE_INTEGER, signal } = options;
  const parser = new DeltaParser();
  const output = new Output();
  const copier = new Copier(base);
  let total = 0;
  for await (const chunk of delta) {
    for (const op of parser.write(chunk)) {
      total += op.kind === "copy" ? op.length : op.bytes.length;
      if (total > limit)
        throw new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it should`);
      if (op.kind === "literal") yield* output.put(op.bytes);
      // Most copies are short and lie where the last one lay; what can be done at once is not waited for.
      else if (!copier.copyAtOnce(op, output)) yield* copier.copy(op, output, signal);
    }
    signal?.throwIfAborted();
    if (parser.isEnded) break;
  }
  parser.end();
  yield* output.rest();
}

/** What is gathered before it is given out. */
class Output {
  readonly #bytes = new Uint8Array(OUTPUT_BYTES);
  #used = 0;

  get room(): number {
    return OUTPUT_BYTES - this.#used;
  }

  /** The next bytes, to be filled by the caller; never more than there is room. */
  take(length: number): Uint8Array {
    this.#used += length;
    return this.#bytes.subarray(this.#used - length, this.#used);
  }

  *put(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.length;) {
      const some = bytes.subarray(at, at + this.room);
      this.take(some.length).set(some);
      at += some.length;
      if (this.room === 0) yield* this.rest();
    }
  }

  *rest(): Generator<Uint8Array, void, undefined> {
    if (this.#used > 0) yield this.#bytes.subarray(0, this.#used);
    this.#used = 0;
  }
}

type Copy = Extract<DeltaOp, { kind: "copy" }>;

class Copier {
  readonly #base: Base;
  readonly #memory: Uint8Array;
  readonly #pages: BasePages;

  constructor(base: Base) {
    this.#base = base;
    this.#memory = new Uint8Array(Math.min(CACHE_BYTES, Math.max(1, Math.ceil(base.size / PAGE_BYTES)) * PAGE_BYTES));
    this.#pages = new BasePages(base, this.#memory);
  }

  /** Copies within one page that is there, and says whether it did. @throws VarveError `DELTA_BASE_DIFFERS` */
  copyAtOnce({ start, length }: Copy, output: Output): boolean {
    if (start + length > this.#base.size) {
      const message = `the delta copies ${length} bytes from ${start} on, and the base has ${this.#base.size}`;
      throw new VarveError("DELTA_BASE_DIFFERS", message);
    }
    // What fills the output has to be given out.
    if (length >= output.room) return false;
    const page = Math.floor(start / PAGE_BYTES);
    const within = start - page * PAGE_BYTES;
    const at = within + length <= PAGE_BYTES ? this.#pages.find(page) : undefined;
    if (at === undefined) return false;
    output.take(length).set(this.#memory.subarray(at + within, at + within + length));
    return true;
  }

  async *copy(
    { start, length }: Copy,
    output: Output,
    signal?: AbortSignal,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const end = start + length;
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
