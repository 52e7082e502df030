/**
 * The one idea: a stream of known digest is made of pieces that come from different places. A planner writes the
 * recipe; the assembler carries it out.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";

/** Bytes `[start, start + length)` of a blob in a registry. */
export interface RemoteSegment {
  readonly kind: "remote";
  readonly blob: Descriptor;
  readonly start: number;
  readonly length: number;
  /** The digest of just these bytes, where it is known. */
  readonly digest?: Digest;
}

/** `lz4-frames` are those of the `lz4` program; `apple-lz4` has blocks, but no frames. */
export type FrameCodec = "zstd" | "gzip" | "lz4-frames" | "apple-lz4";

/**
 * What whole frames of a compressed blob decompress to: `size` bytes of the target, made of bytes `[start, start + length)` of
 * the blob. It is never cut: a part of it that is here already saves nothing, since all frames have to be read for the rest.
 */
export interface FramesSegment {
  readonly kind: "frames";
  readonly blob: Descriptor;
  /**
   * Where the first frame (zstd, RFC 8878; LZ4, frame format 1.6), member (gzip, RFC 1952) or block (Apple LZ4, formats "tart" §3) begins in the blob. Blocks
   * that are not `linked` must begin where nothing refers to what is before them, as at a stream's start.
   */
  readonly start: number;
  /** Compressed bytes, up to the end of the last frame, member or block. */
  readonly length: number;
  readonly codec: FrameCodec;
  /** Bytes of the target. */
  readonly size: number;
  /** Decompressed bytes that are left out at the start. Default 0. */
  readonly skip?: number;
  /**
   * The blocks (Apple LZ4 only, without `skip`) go on in the midst of a stream: they may refer to the 64 KiB of the target before this segment, and are
   * decoded when these are in place. Default false.
   */
  readonly linked?: boolean;
  /** Whether more decompressed bytes may follow, which are dropped. Default false: the frames must end exactly. */
  readonly rest?: boolean;
  /** The digest of the `size` bytes, where it is known. */
  readonly digest?: Digest;
}

/** Bytes `[start, start + length)` of a file that this machine holds. */
export interface LocalSegment {
  readonly kind: "local";
  readonly path: string;
  readonly start: number;
  readonly length: number;
  readonly digest?: Digest;
}

/** Bytes that came with the recipe: literals, and what was put together of pieces too small to be segments of their own. */
export interface DataSegment {
  readonly kind: "data";
  readonly bytes: Uint8Array;
  /** So many of them were read from files of this machine, and count as such. Default 0. */
  readonly local?: number;
}

/** A run of zeros: a hole where the sink can keep one. */
export interface ZeroSegment {
  readonly kind: "zero";
  readonly length: number;
}

/** Bytes that the ingest holds already, from an earlier try. They are part of the whole and cost nothing. */
export interface HeldSegment {
  readonly kind: "held";
  readonly length: number;
  /** Where the same bytes come from when it turns out that they are not here. */
  readonly instead?: Exclude<Segment, HeldSegment>;
}

export type Segment = RemoteSegment | FramesSegment | LocalSegment | DataSegment | ZeroSegment | HeldSegment;

export interface Recipe {
  readonly target: { readonly digest: Digest; readonly size: number };
  /**
   * In the order of the target's bytes, without gaps. A remote or local segment without a digest may be cut by the
   * assembler. Best an object that can be iterated again: falling back starts over, skipping what is done. A generator
   * object is good for one try only.
   */
  readonly segments: Iterable<Segment> | AsyncIterable<Segment>;
  /**
   * Frames that lie this near to each other in their blob come with one request, in the order of the target, although
   * other segments lie between them there; what lies between them in the blob is received and dropped. Default 0: only
   * frames that follow each other.
   */
  readonly gapBytes?: number;
}

/** Bytes of the target that a segment makes. */
export function segmentLength(segment: Segment): number {
  if (segment.kind === "data") return segment.bytes.length;
  return segment.kind === "frames" ? segment.size : segment.length;
}
