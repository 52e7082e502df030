/**
 * What the frames of one request decompress to, segment by segment. A decoder runs over as many segments as it can, since
 * setting one up costs more than decoding a small frame (zstd frames, RFC 8878 §3.1, gzip members, RFC 1952 §2.2, frames and
 * blocks of LZ4 may follow each other without anything between them). Where one segment ends and the next begins is known by their sizes; each run
 * must come out at exactly the sum of them, so a frame that makes more or less than it should is found at the latest there.
 */
import type { BlockBorder } from "../codec/apple-lz4/decoder.ts";
import { CHUNKED_WINDOW_LOG_MAX, Inflater } from "../codec/inflater.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { ByteRange } from "../store/types.ts";
import { releaseUpTo } from "../sys/release-buffer.ts";
import type { BlobStretch } from "./blob-stretch.ts";
import { FrameFeed } from "./frame-feed.ts";
import type { FramesSegment } from "./segment.ts";

const PIECE_BYTES = 256 << 10;
const MIN_PIECE_BYTES = 4096;

export interface FrameReaderOptions {
  readonly signal: AbortSignal;
  /** Of the first segment, where it is linked: what the target has before it, its last 64 KiB or all. */
  readonly history?: Uint8Array | undefined;
  /** Told of places between blocks of Apple LZ4, counted from the first segment's start. */
  readonly onBorder?: ((border: BlockBorder) => void) | undefined;
}

/** Segments are begun, read to their size, and ended, in the order in which they were given. */
export class FrameReader implements AsyncDisposable {
  readonly #segments: readonly FramesSegment[];
  readonly #feed: FrameFeed;
  readonly #options: FrameReaderOptions;
  #run: AsyncGenerator<Uint8Array, void, undefined> | undefined;
  /** Index of the first segment behind the run. */
  #runEnd = 0;
  /** Index of the segment that is begun, or comes next. */
  #index = 0;
  /** As the decoder gave it; what of it was not read yet is in `#left`. */
  #piece: Uint8Array = new Uint8Array();
  #left: Uint8Array = this.#piece;

  /**
   * @param stretch from the first segment's start to the last one's end; stays the caller's
   * @param segments of one blob and codec, in its order
   */
  constructor(stretch: BlobStretch, segments: readonly FramesSegment[], options: FrameReaderOptions) {
    this.#segments = segments;
    this.#options = options;
    this.#feed = new FrameFeed(stretch, segments[0]!.start, endOf(segments.at(-1)!));
  }

  /**
   * All of the next segment where its bytes are in memory already and the run goes on behind it; it then counts as begun and
   * ended. Valid until the next call.
   */
  whole(): Uint8Array | undefined {
    const { size, skip = 0 } = this.#segments[this.#index]!;
    if (this.#index + 1 >= this.#runEnd || this.#left.length < skip + size) return undefined;
    const bytes = this.#left.subarray(skip, skip + size);
    this.#left = this.#left.subarray(skip + size);
    this.#index++;
    return bytes;
  }

  /** Goes to the first wanted byte of the next segment. @throws as {@link read} */
  async begin(): Promise<void> {
    if (this.#index === this.#runEnd) this.#startRun();
    const { skip = 0 } = this.#segments[this.#index]!;
    for (let left = skip; left > 0;) left -= (await this.read(left)).length;
  }

  /**
   * At least one and at most `limit` bytes, valid until the next call.
   * @throws VarveError `SIZE_MISMATCH` when there are no more, `COMPRESSION_INVALID`; what the stretch throws
   */
  async read(limit: number): Promise<Uint8Array> {
    if (this.#left.length === 0 && !(await this.#next())) throw this.#wrongSize("fewer");
    const bytes = this.#left.subarray(0, limit);
    this.#left = this.#left.subarray(bytes.length);
    return bytes;
  }

  /** The segment has been read to its size. @throws VarveError `SIZE_MISMATCH` when its run goes on behind it */
  async end(): Promise<void> {
    const { rest = false } = this.#segments[this.#index]!;
    if (this.#index + 1 === this.#runEnd) {
      if (!rest && (this.#left.length > 0 || (await this.#next()))) throw this.#wrongSize("more");
      await this[Symbol.asyncDispose]();
    }
    this.#index++;
  }

  /** All segments were read: reads what is left of the stretch, so that it can end properly. */
  async finish(): Promise<void> {
    await this.#feed.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const run = this.#run;
    this.#run = undefined;
    this.#left = new Uint8Array();
    await run?.return();
  }

  /** The next piece of the run; false at its end. */
  async #next(): Promise<boolean> {
    // A decoder of node:zlib fills its buffers from the start and lets go of one when it is full. No piece of LZ4 ends where the
    // memory of its decoder does, which is used again.
    releaseUpTo(this.#piece);
    this.#piece = this.#left = new Uint8Array();
    const result = await this.#run?.next();
    if (result === undefined || result.done === true) return false;
    this.#piece = this.#left = result.value;
    return true;
  }

  #startRun(): void {
    // What follows the size of a segment with a rest is of unknown length: the next one needs a decoder of its own.
    let last = this.#index;
    while (last + 1 < this.#segments.length && this.#segments[last]!.rest !== true) last++;
    const segments = this.#segments.slice(this.#index, last + 1);
    this.#runEnd = last + 1;
    const sum = (of: (segment: FramesSegment) => number): number => segments.reduce((all, each) => all + of(each), 0);
    const compressed = sum(({ length }) => length);
    const wanted = sum(({ size, skip = 0 }) => size + skip);
    const feed = this.#feed.take(joined(segments), compressed);
    this.#run = this.#decode(feed, segments, wanted);
  }

  #decode(
    feed: AsyncIterable<Uint8Array>,
    segments: readonly FramesSegment[],
    wanted: number,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const [{ codec }] = segments as readonly [FramesSegment];
    if (codec === "lz4-frames") return decodedLz4Frames(feed);
    const { signal, ...options } = this.#options;
    if (codec !== "apple-lz4") return decoded(feed, { codec, pieceBytes: Math.min(wanted, PIECE_BYTES), signal });
    const isFirst = this.#index === 0;
    return decodedAppleLz4(feed, { ...(isFirst && options), cut: !isWholeStream(segments) });
  }

  #wrongSize(what: "more" | "fewer"): VarveError {
    const { blob, start, length, size, skip = 0 } = this.#segments[this.#index]!;
    const message = `bytes ${start} to ${start + length} of ${blob.digest} decompress to ${what} than ${skip + size} bytes`;
    return new VarveError("SIZE_MISMATCH", message);
  }
}

interface DecodeOptions {
  readonly codec: "zstd" | "gzip";
  /** That are wanted at once. */
  readonly pieceBytes: number;
  readonly signal: AbortSignal;
}

async function* decoded(
  feed: AsyncIterable<Uint8Array>,
  { codec, pieceBytes, signal }: DecodeOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const chunkSize = Math.max(MIN_PIECE_BYTES, pieceBytes);
  using inflater = new Inflater(codec, chunkSize, signal, { windowLogMax: CHUNKED_WINDOW_LOG_MAX });
  for await (const chunk of feed) {
    yield* inflater.digest(chunk);
    // It found something else than frames; what is missing then is found by its size.
    if (inflater.ended) return;
  }
  yield* inflater.finish();
}

interface AppleLz4Options extends Omit<FrameReaderOptions, "signal"> {
  readonly cut: boolean;
}

/** Only disks have these. */
async function* decodedAppleLz4(
  feed: AsyncIterable<Uint8Array>,
  { history, ...options }: AppleLz4Options,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { decodeAppleLz4 } = await import("../codec/apple-lz4/decoder.ts");
  yield* decodeAppleLz4(feed, history === undefined ? options : { ...options, history });
}

async function* decodedLz4Frames(feed: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const { decodeLz4Frames } = await import("../codec/lz4-frames/decoder.ts");
  yield* decodeLz4Frames(feed);
}

/**
 * Whether blocks are all of a blob, or all from where an earlier try left it: then they are one stream, whose end is the blob's. Pieces of a blob may
 * end behind any block, also where the next of them that is wanted begins elsewhere.
 */
function isWholeStream([first, ...others]: readonly FramesSegment[]): boolean {
  if (first === undefined || others.length > 0) return false;
  return (first.start === 0 || first.linked === true) && endOf(first) === first.blob.size;
}

/** Where the segments lie in their blob. */
function* joined(segments: readonly FramesSegment[]): Generator<ByteRange> {
  let [start, end] = [0, 0];
  for (const segment of segments) {
    if (segment.start !== end) {
      if (end > start) yield { start, end };
      start = segment.start;
    }
    end = endOf(segment);
  }
  if (end > start) yield { start, end };
}

function endOf({ start, length }: FramesSegment): number {
  return start + length;
}
