/**
 * How the content of a file comes, piece by piece (formats "zstd-chunked" §2): the whole of it from here; else each chunk from here, as zeros, or
 * from the blob. Every piece whose digest is known is verified as one.
 */
import type { TocPieces } from "../codec/zstd-chunked/toc-pieces.ts";
import { inBlobOrder } from "../codec/zstd-chunked/piece-order.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { FramesSegment, Segment } from "../recipe/segment.ts";
import type { LocalPlaces } from "../store/local-sources/types.ts";

/** What planners ask of what this machine holds. */
export type HeldPieces = Pick<LocalPlaces, "get">;

/** Why a planner has no plan: a clause for people. */
export interface Refusal {
  readonly refused: string;
}

/** A layer's blob whose frames can be fetched one by one, and which of its pieces are here. */
export interface PieceSource {
  readonly blob: Descriptor;
  readonly codec: "zstd" | "gzip";
  readonly pieces: TocPieces;
  readonly held: HeldPieces;
  /** For counting only: segments come without their digests, which are long strings. Default false. */
  readonly bare?: boolean;
}

/** The segments that make a whole file. @param whole the piece that is all of it */
export function* fileSegments(source: PieceSource, whole: number): Generator<Segment, void, undefined> {
  const { pieces } = source;
  if (!pieces.hasChunks(whole) || source.held.get(whole) !== undefined) return yield pieceSegment(source, whole);
  const end = pieces.behind(whole);
  for (let piece = whole + 1; piece < end; piece++) yield pieceSegment(source, piece);
}

/** The segment that makes one piece. */
export function pieceSegment(source: PieceSource, piece: number): Segment {
  const { pieces, held } = source;
  const size = pieces.size(piece);
  if (pieces.isZeros(piece)) return { kind: "zero", length: size };
  const isKnown = pieces.hasDigest(piece);
  const place = isKnown ? held.get(piece) : undefined;
  const digest = isKnown && source.bare !== true ? pieces.digest(piece) : undefined;
  if (place === undefined) return framesSegment(source, piece, size, digest);
  const { path, start } = place;
  if (digest === undefined) return { kind: "local", path, start, length: size };
  return { kind: "local", path, start, length: size, digest };
}

/** The segments that come from the blob, in its order. */
export function* framesInBlobOrder(source: PieceSource): Generator<FramesSegment, void, undefined> {
  for (const whole of inBlobOrder(source.pieces)) {
    for (const segment of fileSegments(source, whole)) if (segment.kind === "frames") yield segment;
  }
}

function framesSegment(source: PieceSource, piece: number, size: number, digest: Digest | undefined): FramesSegment {
  const { blob, codec, pieces } = source;
  const start = pieces.offset(piece);
  const length = pieces.end(piece) - start;
  if (digest === undefined) return { kind: "frames", blob, start, length, codec, size };
  return { kind: "frames", blob, start, length, codec, size, digest };
}
