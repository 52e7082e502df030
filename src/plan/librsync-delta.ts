/**
 * A layer's tar of the tars that are here and a librsync delta (formats "balena-delta" §2), told as the delta comes. Long copies are segments of
 * their own, so that files can be shared; literals and short copies are put together, because a segment for each would cost more than the copy.
 * What an earlier try has left is skipped without being read. Memory: some 20 MiB, and what the assembler holds of what is told.
 */
import { DeltaParser } from "../codec/librsync/delta-parser.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { SeekableTar } from "../layer/seekable/seekable-tar.ts";
import type { Segment } from "../recipe/segment.ts";
import type { ByteRange } from "../store/types.ts";
import { HeldCursor } from "./held-cursor.ts";
import { SegmentMaker } from "./segment-maker.ts";

export interface LibrsyncSegmentsOptions {
  /** The tars of the base's layers, one after the other. */
  readonly base: SeekableTar;
  /** The delta from its first byte, each time it is asked for. */
  readonly delta: () => AsyncIterable<Uint8Array>;
  /** What need not be made, asked for each time that the segments are read. Default: nothing. */
  readonly held?: () => Iterable<ByteRange>;
  readonly signal?: AbortSignal;
}

/**
 * The segments, which can be read again. How much they make is for the recipe to check.
 * @throws VarveError `DELTA_INVALID`, `DELTA_BASE_DIFFERS` when a copy reaches beyond the base; what base and delta throw; the signal's reason
 */
export function librsyncSegments(options: LibrsyncSegmentsOptions): AsyncIterable<Segment> {
  return { [Symbol.asyncIterator]: () => tell(options) };
}

async function* tell({ base, delta, held, signal }: LibrsyncSegmentsOptions): AsyncGenerator<Segment, void, undefined> {
  const parser = new DeltaParser();
  const maker = new SegmentMaker(base, signal);
  const cursor = new HeldCursor(held?.() ?? []);
  let position = 0;
  let skipped = 0;
  for await (const chunk of delta()) {
    signal?.throwIfAborted();
    parser.give(chunk);
    for (let kind = parser.next(); kind !== undefined; kind = parser.next()) {
      const literal = kind === "literal" ? chunk : undefined;
      const start = literal === undefined ? parser.start : parser.from;
      const length = literal === undefined ? parser.length : parser.to - parser.from;
      if (literal === undefined) checkCopy(start, length, base);
      for (let at = 0; at < length;) {
        const some = Math.min(length - at, cursor.alike(position));
        position += some;
        at += some;
        if (cursor.isHeld) {
          yield* maker.run.rest();
          skipped += some;
          continue;
        }
        if (skipped > 0) yield { kind: "held", length: skipped };
        skipped = 0;
        const from = start + at - some;
        if (maker.makeAtOnce(literal, from, some)) continue;
        if (literal !== undefined) yield* maker.run.put(literal, from, from + some);
        else yield* maker.copy(from, some);
      }
    }
    if (parser.isEnded) break;
  }
  parser.end();
  yield* maker.run.rest();
  if (skipped > 0) yield { kind: "held", length: skipped };
}

/** What a delta makes, and of what. */
export interface DeltaMeasure {
  /** Bytes of the new tar. */
  readonly size: number;
  /** Those that are copied of the base, and those that the delta brings. */
  readonly local: number;
  readonly data: number;
}

export interface MeasureDeltaOptions {
  /** Bytes that it may make at most. Default: any. */
  readonly limit?: number;
}

/**
 * Reads a delta once, and makes nothing.
 * @param base that it is for
 * @throws VarveError as {@link librsyncSegments}; `INGEST_LIMIT`; what the delta throws
 */
export async function measureDelta(
  delta: AsyncIterable<Uint8Array>,
  base: { readonly size: number },
  { limit = Number.MAX_SAFE_INTEGER }: MeasureDeltaOptions = {},
): Promise<DeltaMeasure> {
  const parser = new DeltaParser();
  let local = 0;
  let data = 0;
  for await (const chunk of delta) {
    parser.give(chunk);
    for (let kind = parser.next(); kind !== undefined; kind = parser.next()) {
      if (kind === "literal") data += parser.to - parser.from;
      else {
        checkCopy(parser.start, parser.length, base);
        local += parser.length;
      }
    }
    if (parser.isEnded) break;
    if (local + data <= limit) continue;
    throw new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it may`);
  }
  parser.end();
  return { size: local + data, local, data };
}

function checkCopy(start: number, length: number, base: { readonly size: number }): void {
  if (start + length <= base.size) return;
  const message = `the delta copies ${length} bytes from ${start} on, and its base has ${base.size} here`;
  throw new VarveError("DELTA_BASE_DIFFERS", message);
}
