/**
 * Makes a delta of two files that are both here (librsync §6): the same format as from a signature, for any program that reads it, but matches
 * are of bytes, not of blocks. Memory is the same for any size: an index of four bytes for each seed of the base, seeds farther apart where
 * the base is larger than the index has room for, pages of the base, and a window over the new file (`memory-plan.ts`). Equal files give equal
 * deltas, in whatever pieces they come.
 */
import { setImmediate as turn } from "node:timers/promises";
import type { Base } from "../base.ts";
import { DeltaWriter } from "../delta-writer.ts";
import { Matcher } from "./matcher.ts";
import { DEFAULT_MEMORY } from "./memory-plan.ts";
import { SeedIndex } from "./seed-index.ts";

export interface BaseIndexOptions {
  /** Bytes for index and pages. More finds more in bases of more than some 480 MB. Default 320 MiB. */
  readonly memory?: number;
  readonly signal?: AbortSignal;
  /** Told, while the base is read for the index, how many of its bytes were. */
  readonly onIndexed?: (bytes: number) => void;
}

export interface DeltaOptions {
  readonly signal?: AbortSignal;
  /** Told when all is done what was written. */
  readonly onCounts?: (counts: DeltaWriter["counts"]) => void;
}

export type DirectDeltaOptions = BaseIndexOptions & DeltaOptions;

/**
 * One base, for deltas to any number of new files, one after the other: the index is the most of the work and of the memory, which the collector
 * gives back only when it likes.
 */
export class DirectDeltas {
  readonly #base: Base;
  readonly #index: SeedIndex;
  #isBusy = false;

  private constructor(base: Base, index: SeedIndex) {
    this.#base = base;
    this.#index = index;
  }

  /** Reads all of the base. @throws what the base throws; the signal's reason */
  static async over(base: Base, options: BaseIndexOptions = {}): Promise<DirectDeltas> {
    const { memory = DEFAULT_MEMORY, signal, onIndexed = () => undefined } = options;
    const index = await SeedIndex.build(base, { memory, onRead: onIndexed, ...(signal !== undefined && { signal }) });
    return new DirectDeltas(base, index);
  }

  /**
   * The delta that makes the new file of the base, in pieces that are the caller's.
   * @param target whose pieces are only read, before the next is asked for
   * @throws what base and target throw; the signal's reason; Error while another delta is being made
   */
  async *to(
    target: AsyncIterable<Uint8Array>,
    options: DeltaOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#isBusy) throw new Error("one delta after the other");
    this.#isBusy = true;
    try {
      yield* this.#write(target, options);
    } finally {
      this.#isBusy = false;
    }
  }

  async *#write(
    target: AsyncIterable<Uint8Array>,
    { signal, onCounts }: DeltaOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    this.#index.pages.forget();
    const writer = new DeltaWriter();
    const matcher = new Matcher(this.#index, this.#base.size, writer);
    for await (const chunk of target) {
      signal?.throwIfAborted();
      for (let at = 0; at < chunk.length;) {
        const taken = matcher.take(chunk.subarray(at));
        at += taken;
        if (taken > 0) continue;
        await matcher.match(false);
        yield* writer.take();
        // Nothing else may have waited for anything.
        await turn();
      }
    }
    await matcher.match(true);
    writer.end();
    yield* writer.take();
    onCounts?.(writer.counts);
  }
}

/** The delta from one base to one new file, as {@link DirectDeltas} makes it. */
export async function* writeDirectDelta(
  base: Base,
  target: AsyncIterable<Uint8Array>,
  options: DirectDeltaOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const deltas = await DirectDeltas.over(base, options);
  yield* deltas.to(target, options);
}
