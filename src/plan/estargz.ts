/**
 * The tar of a layer whose headers lie somewhere among its content, and nobody says how large what lies there is: eStargz, nerdctl's zstd:chunked, and
 * podman's of before there were tar-splits (formats "estargz" §1, "zstd-chunked" §2, §3). What lies between the pieces that are held has to be fetched
 * anyway; it is fetched before the plan is made, which then knows its size. That is worth while where little lies there: layers of few, large files.
 */
import { decompress } from "../codec/decompress.ts";
import { CHUNKED_WINDOW_LOG_MAX } from "../codec/inflater.ts";
import { inBlobOrder } from "../codec/zstd-chunked/piece-order.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { ByteRange } from "../store/types.ts";
import type { Segment } from "../recipe/segment.ts";
import type { Rates } from "./choose.ts";
import { CostMeter } from "./cost-meter.ts";
import { gapBytesFor } from "./near-frames.ts";
import { pieceSegment, type PieceSource, type Refusal } from "./piece-segments.ts";
import type { Plan } from "./plan.ts";
import { isVerdict, type ChunkedLayer } from "./zstd-chunked.ts";

/** A layer of frames (or members) that end at `dataEnd`. */
export interface UnsizedSource extends PieceSource {
  readonly dataEnd: number;
  /** Frames that follow, which came with the table of contents: they end the tar. */
  readonly tail?: Uint8Array;
}

export interface Outline {
  /** What of the blob has to be fetched before there can be a plan; in order, apart from each other. */
  readonly stretches: readonly ByteRange[];
  /** Bytes of them. */
  readonly bytes: number;
  /** Bytes of the blob that need not be fetched. */
  readonly saved: number;
}

/** What is fetched for a plan is in memory until the plan is carried out. */
const MAX_AHEAD_BYTES = 16 << 20;
const MAX_STRETCHES = 256;
/** A guard against bombs: what stands between large files is headers and small files. */
const MAX_AHEAD_TAR_BYTES = 512 << 20;
/** Pieces that are not held and are smaller than this come with what lies around them. */
const MIN_FRAMES_BYTES = 64 * 1024;
const PIECE_BYTES = 64 * 1024;

/** What would have to be fetched to plan; a refusal when that is much, or saves nothing. */
export function outline(source: UnsizedSource): Outline | Refusal {
  const stretches: ByteRange[] = [];
  let bytes = 0;
  let saved = 0;
  for (const part of partsOf(source)) {
    if (!("segment" in part)) {
      stretches.push(part);
      bytes += part.end - part.start;
      if (bytes > MAX_AHEAD_BYTES || stretches.length > MAX_STRETCHES) {
        return { refused: "its headers are scattered over more of the blob than may be fetched for a plan" };
      }
    } else if (part.segment.kind !== "frames") saved += part.end - part.start;
  }
  return saved === 0 ? { refused: "nothing of it that could be left out is here" } : { stretches, bytes, saved };
}

/**
 * @param fetched the bytes of each stretch of the outline
 * @returns a refusal when they are broken
 */
export async function planUnsized(
  layer: ChunkedLayer,
  source: UnsizedSource,
  fetched: readonly Uint8Array[],
  options: { readonly rates?: Rates | undefined; readonly signal?: AbortSignal } = {},
): Promise<Plan | Refusal> {
  const gapBytes = gapBytesFor(framesOf(source), options.rates);
  const meter = new CostMeter(gapBytes);
  let saved = 0;
  try {
    for await (const segment of segmentsOf(source, fetched)) {
      options.signal?.throwIfAborted();
      meter.add(segment);
      if (segment.kind === "local" || segment.kind === "zero") saved += segment.length;
    }
  } catch (error) {
    if (isVerdict(error)) return { refused: error.message };
    throw error;
  }
  const target = { digest: layer.diffId, size: meter.position };
  if (!Number.isSafeInteger(target.size)) return { refused: "its tar would be larger than any disk" };
  const segments = { [Symbol.asyncIterator]: () => segmentsOf(source, fetched) };
  const why = `${saved} of ${target.size} bytes of its tar need not be fetched`;
  const how = source.codec === "gzip" ? "estargz" : "zstd-chunked";
  return { how, recipe: { target, segments, gapBytes }, cost: meter.end(), why };
}

/** A piece of known size, or a stretch of the blob in which nobody knows how much is. */
type BlobPart = (ByteRange & { readonly segment?: never }) | (ByteRange & { readonly segment: Segment });

/** The blob up to `dataEnd`, in order and without gaps. */
function* partsOf(source: UnsizedSource): Generator<BlobPart, void, undefined> {
  let start = 0;
  for (const part of knownParts(source)) {
    if (part.segment.kind === "frames" && part.end - part.start < MIN_FRAMES_BYTES) continue;
    if (part.start > start) yield { start, end: part.start };
    yield part;
    start = part.end;
  }
  if (start < source.dataEnd) yield { start, end: source.dataEnd };
}

function* knownParts(source: UnsizedSource): Generator<ByteRange & { segment: Segment }, void, undefined> {
  const { pieces, held } = source;
  for (const whole of inBlobOrder(pieces)) {
    const end = pieces.behind(whole);
    const chunked = pieces.hasChunks(whole);
    const place = chunked && pieces.digest(whole) !== undefined ? held.get(whole) : undefined;
    for (let piece = chunked ? whole + 1 : whole; piece < end; piece++) {
      const at = pieces.start(piece);
      const get = place === undefined ? held.get.bind(held) : () => ({ path: place.path, start: place.start + at });
      const segment = pieceSegment({ ...source, held: { get } }, piece);
      yield { start: pieces.offset(piece), end: pieces.end(piece), segment };
    }
  }
}

function* framesOf(source: UnsizedSource): Generator<Segment, void, undefined> {
  for (const part of partsOf(source)) if (part.segment?.kind === "frames") yield part.segment;
}

async function* segmentsOf(
  source: UnsizedSource,
  fetched: readonly Uint8Array[],
): AsyncGenerator<Segment, void, undefined> {
  const room = { bytes: MAX_AHEAD_TAR_BYTES };
  let stretch = 0;
  for (const part of partsOf(source)) {
    if (part.segment !== undefined) yield part.segment;
    else yield* literals(fetched[stretch++]!, source.codec, room);
  }
  if (source.tail !== undefined) yield* literals(source.tail, source.codec, room);
}

/** What frames make, as literals. */
async function* literals(
  packed: Uint8Array,
  compression: "zstd" | "gzip",
  room: { bytes: number },
): AsyncGenerator<Segment, void, undefined> {
  const options = { compression, chunkSize: PIECE_BYTES, windowLogMax: CHUNKED_WINDOW_LOG_MAX };
  for await (const bytes of decompress(only(packed), options)) {
    room.bytes -= bytes.length;
    if (room.bytes < 0) {
      const message = `what lies between the layer's files makes more than ${MAX_AHEAD_TAR_BYTES} bytes`;
      throw new VarveError("TOC_LIMIT", message);
    }
    yield { kind: "data", bytes };
  }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
