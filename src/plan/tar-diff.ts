/**
 * The tar of a layer from a tar-diff and the tar of another layer that is held (formats "tar-diff" §1). The recipe is told anew from the delta each time it
 * is read, so it is never all in memory. Memory: some 20 MiB, and what zstd's window takes.
 */
import { BasePages, PAGE_BYTES } from "../codec/librsync/base-pages.ts";
import { TarDiffParser } from "../codec/tar-diff/op-parser.ts";
import { readTarDiffOps } from "../codec/tar-diff/read-ops.ts";
import type { MemberPlace, TarMembers } from "../codec/tar-diff/tar-members.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { SeekableTar } from "../layer/seekable/seekable-tar.ts";
import { quoteName } from "../layer/names.ts";
import type { Segment } from "../recipe/segment.ts";
import type { RangeSet } from "../store/range-set.ts";
import { SegmentGatherer } from "./gather-segments.ts";

export interface TarDiffSource {
  /** The tar of the old layer. */
  readonly base: SeekableTar;
  /** Of the base. */
  readonly members: TarMembers;
  /** The delta's bytes, from their start each time; pieces are lent until the next is asked for. */
  readonly delta: () => AsyncIterable<Uint8Array>;
  /** What of the new tar is here already when its segments are asked for, and is not made again. Default: nothing. */
  readonly held?: () => RangeSet;
  /** Bytes that the new tar has at most. Default: any. */
  readonly limit?: number;
  readonly signal?: AbortSignal;
}

/** From so many bytes on, copies are left to the file system, which may share them; a segment costs more than a short copy. */
const LONG_COPY = 64 << 10;
const CACHE_BYTES = 16 << 20;

/**
 * The segments that make the new tar, as often as they are asked for. Reading them throws `DELTA_INVALID`, `DELTA_BASE_DIFFERS` when the base has no such
 * file or an operation reaches beyond it, `INGEST_LIMIT`, what base and delta throw, and the signal's reason.
 */
export function tarDiffSegments(source: TarDiffSource): AsyncIterable<Segment> {
  return { [Symbol.asyncIterator]: () => segmentsOf(source) };
}

async function* segmentsOf(source: TarDiffSource): AsyncGenerator<Segment, void, undefined> {
  const { members, limit = Number.MAX_SAFE_INTEGER, signal } = source;
  const parser = new TarDiffParser();
  const output = new SegmentGatherer(source.held?.());
  const reader = new FileReader(source.base);
  let made = 0;
  const count = (bytes: number): void => {
    made += bytes;
    if (made > limit) throw new VarveError("INGEST_LIMIT", `the delta makes more than the ${limit} bytes that it may`);
  };
  for await (const chunk of readTarDiffOps(source.delta(), { signal })) {
    parser.give(chunk);
    for (let op = parser.next(); op !== undefined; op = parser.next()) {
      switch (op) {
        case "open":
          reader.open(parser.path, members.find(parser.path));
          break;
        case "seek":
          reader.position = parser.position;
          break;
        case "data":
          count(parser.to - parser.from);
          yield* output.put(chunk, parser.from, parser.to);
          break;
        case "add":
          count(parser.to - parser.from);
          yield* addInto(output, reader, chunk, parser.from, parser.to);
          break;
        case "copy":
          count(parser.length);
          yield* copyInto(output, reader, parser.length, signal);
      }
    }
    signal?.throwIfAborted();
  }
  parser.end();
  yield* output.end();
}

async function* copyInto(
  output: SegmentGatherer,
  reader: FileReader,
  length: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<Segment, void, undefined> {
  const start = reader.take(length);
  if (length >= LONG_COPY) {
    yield* output.parts(reader.base, start, length);
    return;
  }
  for (let at = 0; at < length;) {
    signal?.throwIfAborted();
    const skipped = output.skip(length - at);
    if (skipped > 0) {
      at += skipped;
      continue;
    }
    const into = output.take(length - at);
    await reader.read(into, start + at);
    at += into.length;
    yield* output.full();
  }
}

async function* addInto(
  output: SegmentGatherer,
  reader: FileReader,
  chunk: Uint8Array,
  from: number,
  to: number,
): AsyncGenerator<Segment, void, undefined> {
  const start = reader.take(to - from);
  for (let at = from; at < to;) {
    const skipped = output.skip(to - at);
    if (skipped > 0) {
      at += skipped;
      continue;
    }
    const into = output.take(to - at);
    await reader.read(into, start + at - from);
    for (let index = 0; index < into.length; index++) into[index]! += chunk[at + index]!;
    at += into.length;
    yield* output.full();
  }
}

/** The file that is open, and where it is read next. */
class FileReader {
  readonly base: SeekableTar;
  position = 0;
  readonly #memory: Uint8Array;
  readonly #pages: BasePages;
  #place: MemberPlace = { start: 0, size: 0 };
  #path = "";

  constructor(base: SeekableTar) {
    this.base = base;
    this.#memory = new Uint8Array(Math.min(CACHE_BYTES, Math.max(1, Math.ceil(base.size / PAGE_BYTES)) * PAGE_BYTES));
    this.#pages = new BasePages(base, this.#memory);
  }

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

  /** @param position in the tar */
  async read(into: Uint8Array, position: number): Promise<void> {
    if (into.length >= PAGE_BYTES) return this.base.read(into, position);
    for (let done = 0; done < into.length;) {
      const page = Math.floor((position + done) / PAGE_BYTES);
      const within = position + done - page * PAGE_BYTES;
      const at = this.#pages.find(page) ?? (await this.#pages.load(page));
      const some = this.#memory.subarray(at + within, at + Math.min(PAGE_BYTES, within + into.length - done));
      into.set(some, done);
      done += some.length;
    }
  }
}
