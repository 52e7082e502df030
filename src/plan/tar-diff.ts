/**
 * The tar of a layer from a tar-diff and the tar of another layer that is held (formats "tar-diff" §1). The recipe is told anew from the delta each time it
 * is read, so it is never all in memory. Memory: some 20 MiB, and what zstd's window takes.
 */
import { TarDiffParser } from "../codec/tar-diff/op-parser.ts";
import { readTarDiffOps } from "../codec/tar-diff/read-ops.ts";
import type { MemberPlace, TarMembers } from "../codec/tar-diff/tar-members.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { SeekableTar } from "../layer/seekable/seekable-tar.ts";
import { quoteName } from "../layer/names.ts";
import type { Segment } from "../recipe/segment.ts";
import type { ByteRange } from "../store/types.ts";
import { HeldCursor } from "./held-cursor.ts";
import { SegmentMaker } from "./segment-maker.ts";

export interface TarDiffSource {
  /** The tar of the old layer. */
  readonly base: SeekableTar;
  /** Of the base. */
  readonly members: TarMembers;
  /** The delta's bytes, from their start each time; pieces are lent until the next is asked for. */
  readonly delta: () => AsyncIterable<Uint8Array>;
  /** What of the new tar is here already when its segments are asked for, and is not made again. Default: nothing. */
  readonly held?: () => Iterable<ByteRange>;
  /** Bytes that the new tar has at most. Default: any. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/**
 * The segments that make the new tar, as often as they are asked for. Reading them throws `DELTA_INVALID`, `DELTA_BASE_DIFFERS` when the base has no such
 * file or an operation reaches beyond it, `INGEST_LIMIT`, what base and delta throw, and the signal's reason.
 */
export function tarDiffSegments(source: TarDiffSource): AsyncIterable<Segment> {
  return { [Symbol.asyncIterator]: () => segmentsOf(source) };
}

async function* segmentsOf(source: TarDiffSource): AsyncGenerator<Segment, void, undefined> {
  const { base, members, limit = Number.MAX_SAFE_INTEGER, signal } = source;
  const parser = new TarDiffParser();
  const maker = new SegmentMaker(base, signal);
  const cursor = new HeldCursor(source.held?.() ?? []);
  const file = new OpenFile();
  let position = 0;
  let skipped = 0;
  for await (const chunk of readTarDiffOps(source.delta(), { signal })) {
    signal?.throwIfAborted();
    parser.give(chunk);
    for (let op = parser.next(); op !== undefined; op = parser.next()) {
      if (op === "open") {
        file.open(parser.path, members.find(parser.path));
        continue;
      }
      if (op === "seek") {
        file.position = parser.position;
        continue;
      }
      const length = op === "copy" ? parser.length : parser.to - parser.from;
      const start = op === "data" ? 0 : file.take(length);
      if (position + length > limit) {
        throw new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it may`);
      }
      for (let at = 0; at < length;) {
        const some = Math.min(length - at, cursor.alike(position));
        const from = parser.from + at;
        const place = start + at;
        position += some;
        at += some;
        if (cursor.isHeld) {
          yield* maker.run.rest();
          skipped += some;
          continue;
        }
        if (skipped > 0) yield { kind: "held", length: skipped };
        skipped = 0;
        if (op === "data") {
          if (!maker.run.putAtOnce(chunk, from, from + some)) yield* maker.run.put(chunk, from, from + some);
        } else if (op === "add") {
          if (!maker.addAtOnce(chunk, from, place, some)) yield* maker.add(chunk, from, place, some);
        } else if (!maker.makeAtOnce(undefined, place, some)) yield* maker.copy(place, some);
      }
    }
  }
  parser.end();
  yield* maker.run.rest();
  if (skipped > 0) yield { kind: "held", length: skipped };
}

/** The file that is open, and where it is read next. */
class OpenFile {
  position = 0;
  #place: MemberPlace = { start: 0, size: 0 };
  #path = "";

  /** @throws VarveError `DELTA_BASE_DIFFERS` */
  open(path: string, place: MemberPlace | undefined): void {
    if (place === undefined) {
      const message = `the delta copies from ${quoteName(path)}, which is no file of the layer that is held`;
      throw new VarveError("DELTA_BASE_DIFFERS", message);
    }
    this.#path = path;
    this.#place = place;
    this.position = 0;
  }

  /** Where in the tar the next bytes of the file are, which count as read. @throws VarveError `DELTA_BASE_DIFFERS` */
  take(length: number): number {
    const { start, size } = this.#place;
    const { position } = this;
    if (position + length > size) {
      const message = `the delta reads ${length} bytes of ${quoteName(this.#path)} from ${position} on, and it has ${size}`;
      throw new VarveError("DELTA_BASE_DIFFERS", message);
    }
    this.position += length;
    return start + position;
  }
}
