/**
 * Makes the new file of the base and a delta (librsync §2). The base is read where copies say, through pages of {@link BasePages} when copies
 * are short, because such lie near each other; what comes out comes in order. Memory: some 20 MiB.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Base } from "./base.ts";
import { BaseCopier } from "./base-copier.ts";
import { DeltaParser } from "./delta-parser.ts";
import { PatchOutput } from "./patch-output.ts";

export interface PatchOptions {
  /** Bytes that may come out at most: a delta of a few bytes can ask for any number of copies. Default: any. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

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
  const output = new PatchOutput();
  const copier = new BaseCopier(base);
  let total = 0;
  const count = (bytes: number): void => {
    total += bytes;
    if (total <= limit) return;
    throw new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it should`);
  };
  for await (const chunk of delta) {
    parser.give(chunk);
    for (let kind = parser.next(); kind !== undefined; kind = parser.next()) {
      if (kind === "literal") {
        count(parser.to - parser.from);
        if (!output.putAtOnce(chunk, parser.from, parser.to)) yield* output.put(chunk, parser.from, parser.to);
        continue;
      }
      const { start, length } = parser;
      count(length);
      // Most copies are short and lie where the last one lay; what can be done at once is not waited for.
      if (!copier.copyAtOnce(start, length, output)) yield* copier.copy(start, length, output, signal);
    }
    signal?.throwIfAborted();
    if (parser.isEnded) break;
  }
  parser.end();
  yield* output.rest();
}
