/**
 * The tar of a zstd:chunked layer from its tar-split, what this machine holds, and frames of its blob (formats "zstd-chunked" §2). The plan is told
 * anew from the tar-split each time it is read: headers are never all in memory.
 */
import { isVarveError, type VarveError } from "../errors/varve-error.ts";
import type { ChunkedToc } from "../codec/zstd-chunked/toc.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { FramesSegment, Segment } from "../recipe/segment.ts";
import type { Rates } from "./choose.ts";
import { CostMeter } from "./cost-meter.ts";
import { gapBytesFor } from "./near-frames.ts";
import { fileSegments, framesInBlobOrder, type HeldPieces, type PieceSource, type Refusal } from "./piece-segments.ts";
import type { Plan } from "./plan.ts";
import { TarSplitWalk } from "./tar-split-walk.ts";

/** A layer whose uncompressed tar is wanted. */
export interface ChunkedLayer {
  readonly blob: Descriptor;
  /** Of the tar: what the plan's target is held to in the end, whatever the table of contents says. */
  readonly diffId: Digest;
}

/** A document that can be read any number of times. */
export interface ReadableDocument {
  /** Its bytes, decompressed; each piece is lent until the next is asked for. */
  open(): AsyncIterable<Uint8Array>;
}

export interface ChunkedPlanOptions {
  /** Of the connection, to decide which gaps are read over. */
  readonly rates?: Rates;
  readonly signal?: AbortSignal;
  /** Refuse a plan that takes nothing from here; who goes on with what has come has a use for it. Default true. */
  readonly mustSave?: boolean;
}

/**
 * @param held asked with numbers of `toc.pieces`
 * @returns a refusal when nothing of the layer is here and something must be, or when its table of contents and its tar disagree
 * @throws the signal's reason; what `tarSplit` throws, other than of its content
 */
export async function planZstdChunked(
  layer: ChunkedLayer,
  toc: ChunkedToc,
  tarSplit: ReadableDocument,
  held: HeldPieces,
  options: ChunkedPlanOptions = {},
): Promise<Plan | Refusal> {
  const { blob, diffId } = layer;
  const source: PieceSource = { blob, codec: "zstd", pieces: toc.pieces, held };
  const bare = { ...source, bare: true };
  const compressed = compressedBytes(toc.pieces);
  let saved = compressed;
  const gapBytes = gapBytesFor(
    counting(framesInBlobOrder(bare), (length) => (saved -= length)),
    options.rates,
  );
  if (saved === 0 && options.mustSave !== false) return { refused: "nothing of it is here" };
  const meter = new CostMeter(gapBytes);
  const walk = new TarSplitWalk(toc, {
    compare: true,
    onHeaders: (bytes) => meter.add({ kind: "data", bytes }),
    onFile: (whole) => {
      for (const segment of fileSegments(bare, whole)) meter.add(segment);
    },
  });
  try {
    for await (const chunk of tarSplit.open()) {
      options.signal?.throwIfAborted();
      walk.write(chunk);
    }
    walk.end();
  } catch (error) {
    if (isVerdict(error)) return { refused: error.message };
    throw error;
  }
  const cost = meter.end();
  const target = { digest: diffId, size: meter.position };
  if (!Number.isSafeInteger(target.size)) return { refused: "its tar would be larger than any disk" };
  const segments = { [Symbol.asyncIterator]: () => segmentsOf(toc, tarSplit, source) };
  const why = `${saved} of ${compressed} bytes of its files need not be fetched`;
  return { how: "zstd-chunked", recipe: { target, segments, gapBytes }, cost, why };
}

function* counting(
  frames: Iterable<FramesSegment>,
  count: (length: number) => void,
): Generator<FramesSegment, void, undefined> {
  for (const frame of frames) {
    count(frame.length);
    yield frame;
  }
}

/** Of the frames of all files. */
function compressedBytes(pieces: ChunkedToc["pieces"]): number {
  let bytes = 0;
  for (let piece = 0; piece < pieces.length; piece = pieces.behind(piece))
    bytes += pieces.end(piece) - pieces.offset(piece);
  return bytes;
}

/** What says that an image is broken, and nothing of the place it comes from. */
export function isVerdict(error: unknown): error is VarveError {
  return (
    isVarveError(error, "TOC_INVALID") ||
    isVarveError(error, "TOC_LIMIT") ||
    isVarveError(error, "TAR_SPLIT_INVALID") ||
    isVarveError(error, "COMPRESSION_INVALID") ||
    isVarveError(error, "LAYER_INVALID") ||
    isVarveError(error, "LAYER_LIMIT")
  );
}

async function* segmentsOf(
  toc: ChunkedToc,
  tarSplit: ReadableDocument,
  source: PieceSource,
): AsyncGenerator<Segment, void, undefined> {
  let told: (Uint8Array | number)[] = [];
  const tell = (part: Uint8Array | number): void => void told.push(part);
  const walk = new TarSplitWalk(toc, { compare: false, onHeaders: tell, onFile: tell });
  for await (const chunk of tarSplit.open()) {
    walk.write(chunk);
    yield* segmentsOfParts(told, source);
    told = [];
  }
  walk.end();
  yield* segmentsOfParts(told, source);
}

/** @param parts headers, and pieces that are whole files */
function* segmentsOfParts(
  parts: readonly (Uint8Array | number)[],
  source: PieceSource,
): Generator<Segment, void, undefined> {
  for (const part of parts) {
    if (typeof part === "number") yield* fileSegments(source, part);
    else yield { kind: "data", bytes: part };
  }
}
