/**
 * Merges two deltas (librsync §2), the first of which makes the middle file of the old one, and the second the new file of the middle one, into
 * one that makes the new file of the old one. None of the three files is needed: what the second copies is what the first has made there.
 *
 * Memory: the index of the first delta's commands (`command-index.ts`, 32 MiB at most, and a file beyond that), and 16 MiB for its literals.
 * Whoever writes deltas can have each byte of the second ask for millions of commands of the first, so what comes out is limited, too.
 */
import { setImmediate as turn } from "node:timers/promises";
import { VarveError } from "../../../errors/varve-error.ts";
import { DeltaParser } from "../delta-parser.ts";
import { DeltaWriter } from "../delta-writer.ts";
import { CommandIndex, type CommandIndexOptions } from "./command-index.ts";
import { filesOf, readParts, type MiddlePart, type ReadPartsOptions } from "./first-deltas.ts";
import { MiddleCopier } from "./middle-copier.ts";

export interface SecondDeltaOptions {
  /** Bytes that the new file may have at most. Default: any. */
  readonly targetLimit?: number | undefined;
  /** Bytes of the delta that comes out. Default 64 times what was read of both, and 16 MiB. */
  readonly limit?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Told when all is done what was written. */
  readonly onCounts?: (counts: DeltaWriter["counts"]) => void;
}

export type ComposeOptions = CommandIndexOptions & ReadPartsOptions & SecondDeltaOptions;

const MOST_GROWTH = 64;
const LEAST_LIMIT = 16 << 20;

/** What makes one middle file, for any number of deltas that copy from it, one after the other. */
export class ComposedDeltas {
  readonly #index: CommandIndex;
  readonly #parts: readonly MiddlePart[];
  readonly #bytesRead: number;
  /** Where in the middle file each part ends. */
  readonly partEnds: readonly number[];
  #isBusy = false;

  private constructor(index: CommandIndex, parts: readonly MiddlePart[], partEnds: readonly number[]) {
    this.partEnds = partEnds;
    this.#index = index;
    this.#parts = parts;
    this.#bytesRead = filesOf(parts).size;
  }

  /**
   * Reads the first deltas.
   * @param parts of the middle file, in order
   * @throws VarveError `DELTA_INVALID`, `DELTA_BASE_DIFFERS`, `DELTA_LIMIT`; what the files throw; the signal's reason
   */
  static async over(
    parts: readonly MiddlePart[],
    options: CommandIndexOptions & ReadPartsOptions = {},
  ): Promise<ComposedDeltas> {
    const index = new CommandIndex(options);
    const ends = await readParts(parts, index, options);
    return new ComposedDeltas(index, parts, ends);
  }

  /**
   * The delta that makes of the old file what `second` makes of the middle one, in pieces that are the caller's.
   * @param second whose pieces are only read, before the next is asked for
   * @throws VarveError `DELTA_INVALID`; `DELTA_BASE_DIFFERS` when it copies from beyond the middle file; `DELTA_LIMIT`; `INGEST_LIMIT` for a new
   * file that is too large; what the files throw; the signal's reason; Error while another delta is being made
   */
  async *with(
    second: AsyncIterable<Uint8Array>,
    options: SecondDeltaOptions = {},
  ): AsyncGenerator<Uint8Array, void, undefined> {
    if (this.#isBusy) throw new Error("one delta after the other");
    this.#isBusy = true;
    try {
      yield* this.#write(second, options);
    } finally {
      this.#isBusy = false;
    }
  }

  async *#write(
    second: AsyncIterable<Uint8Array>,
    options: SecondDeltaOptions,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const { targetLimit = Number.MAX_SAFE_INTEGER, signal, onCounts } = options;
    const writer = new DeltaWriter();
    const copier = new MiddleCopier(this.#index, filesOf(this.#parts), writer);
    const parser = new DeltaParser();
    let [read, made] = [this.#bytesRead, 0];
    // To its last byte, though nothing behind the delta's end is looked at: only there its source may know that it was right.
    for await (const chunk of second) {
      read += chunk.length;
      const limit = options.limit ?? LEAST_LIMIT + MOST_GROWTH * read;
      parser.give(chunk);
      for (let kind = parser.next(); kind !== undefined; kind = parser.next()) {
        made += kind === "copy" ? parser.length : parser.to - parser.from;
        if (kind === "copy") copier.begin(parser.start, parser.length);
        if (made > targetLimit) throw makesTooMuch(targetLimit);
        if (kind === "literal") writer.literal(chunk.subarray(parser.from, parser.to));
        while (!copier.goOn()) {
          if (writer.size > limit) throw tooLarge(limit);
          yield* writer.take();
          signal?.throwIfAborted();
          await copier.load();
        }
      }
      if (writer.size > limit) throw tooLarge(limit);
      yield* writer.take();
      signal?.throwIfAborted();
      // Nothing else may have waited for anything.
      await turn();
    }
    parser.end();
    writer.end();
    yield* writer.take();
    onCounts?.(writer.counts);
  }
}

/** One delta of two, as {@link ComposedDeltas} makes it. */
export async function* writeComposedDelta(
  first: readonly MiddlePart[],
  second: AsyncIterable<Uint8Array>,
  options: ComposeOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const deltas = await ComposedDeltas.over(first, options);
  yield* deltas.with(second, options);
}

function makesTooMuch(limit: number): VarveError {
  return new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it should`);
}

function tooLarge(limit: number): VarveError {
  return new VarveError("DELTA_LIMIT", `the two deltas come to one of more than ${limit} bytes`);
}
