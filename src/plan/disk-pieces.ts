/**
 * A content of a disk piece by piece, where the index of its chunk is known (codec/disk-index): from here, as zeros, or from blocks of the chunk's blob.
 * Pieces are verified as such, but for those that follow each other here too for a MiB and more: file systems that can share such a stretch, and all it takes
 * otherwise is to copy it. The whole is verified in any case, so an index that lies costs time and nothing else.
 */
import type { ChunkPieces } from "../codec/disk-index/chunk-pieces.ts";
import type { DiskChunk } from "../codec/tart/disk-image.ts";
import type { Digest } from "../oci/digest.ts";
import type { Segment } from "../recipe/segment.ts";
import type { LocalPlace } from "../store/local-sources/types.ts";
import { estimate, type Rates } from "./choose.ts";
import { gapBytesFor } from "./near-frames.ts";
import type { HeldPieces, Refusal } from "./piece-segments.ts";
import { costOf, type Cost, type Plan } from "./plan.ts";

/** What is got in one go, without looking at what is here, is preferred up to that share of its time. */
const WORTH = 0.9;
/** Disks are large and lines are shared: however near a registry is, its bytes are no cheaper than these, per second. */
const FASTEST = 25e6;
/** Seconds that a request adds where nobody knows: many are under way at once, of several contents. */
const REQUEST = 0.0025;
/** What follows each other here too for so long is one segment, and can be shared. */
const STRETCH_BYTES = 1 << 20;
/** Gaps in the blob that are read over where more requests would cost more than they save, in bytes. */
const WIDER_GAPS = [32 << 10, 64 << 10, 128 << 10, 256 << 10, 1 << 20];

/**
 * @param held asked with numbers of `pieces`
 * @returns a refusal when the chunk's whole blob would be as fast at these rates
 */
export function planDiskPieces(
  chunk: DiskChunk & { readonly digest: Digest },
  pieces: ChunkPieces,
  held: HeldPieces,
  rates: Rates = {},
): Plan | Refusal {
  const { digest, size, blob } = chunk;
  // Told anew each time: there may be a million.
  const bare = (): Iterable<Segment> => segmentsOf(chunk, pieces, held, true);
  // What is decoded is hashed and written like what is here already, so it costs as much beside the network.
  const whole: Cost = { network: blob.size, local: size, data: 0, zero: 0, requests: 1 };
  const weighed = { ...rates, network: Math.min(FASTEST, rates.network ?? FASTEST), request: rates.request ?? REQUEST };
  const most = WORTH * estimate(whole, weighed);
  for (const gapBytes of [gapBytesFor(bare(), weighed), ...WIDER_GAPS]) {
    const cost = costOf(bare(), gapBytes);
    const made: Cost = { ...cost, local: size - cost.zero };
    if (cost.network >= blob.size || estimate(made, weighed) > most) continue;
    const segments = { [Symbol.iterator]: () => segmentsOf(chunk, pieces, held, false) };
    const why = `${cost.local} of ${size} bytes are in disks that are here, ${cost.zero} are zeros`;
    return { how: "disk", recipe: { target: { digest, size }, segments, gapBytes }, cost, why };
  }
  return { refused: "its blob would be as fast as its pieces" };
}

/** @param bare without digests, which are long strings: for counting */
function* segmentsOf(
  { blob }: DiskChunk,
  pieces: ChunkPieces,
  held: HeldPieces,
  bare: boolean,
): Generator<Segment, void, undefined> {
  const digestOf = (piece: number): { readonly digest?: Digest } => (bare ? {} : { digest: pieces.digest(piece)! });
  for (let piece = 0; piece < pieces.length;) {
    const size = pieces.size(piece);
    const place = pieces.isZeros(piece) ? undefined : held.get(piece);
    if (place !== undefined) {
      const { end, length } = stretchFrom(pieces, held, piece, place);
      const { path } = place;
      if (length >= STRETCH_BYTES) yield { kind: "local", path, start: place.start, length };
      else {
        for (let at = piece, { start } = place; at < end; start += pieces.size(at++)) {
          yield { kind: "local", path, start, length: pieces.size(at), ...digestOf(at) };
        }
      }
      piece = end;
      continue;
    }
    if (pieces.isZeros(piece)) yield { kind: "zero", length: size };
    else {
      const start = pieces.offset(piece);
      const length = pieces.end(piece) - start;
      yield { kind: "frames", blob, start, length, codec: "apple-lz4", size, ...digestOf(piece) };
    }
    piece++;
  }
}

/** How many pieces from the first on lie behind each other here as they do in the content, and their bytes. */
function stretchFrom(
  pieces: ChunkPieces,
  held: HeldPieces,
  first: number,
  place: LocalPlace,
): { readonly end: number; readonly length: number } {
  let end = first + 1;
  let length = pieces.size(first);
  for (; end < pieces.length && !pieces.isZeros(end); end++) {
    const next = held.get(end);
    if (next?.path !== place.path || next.start !== place.start + length) break;
    length += pieces.size(end);
  }
  return { end, length };
}
