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

/** Bytes `[start, start + length)` of a file that this machine holds. */
export interface LocalSegment {
  readonly kind: "local";
  readonly path: string;
  readonly start: number;
  readonly length: number;
  readonly digest?: Digest;
}

/** Literal bytes that came with the recipe. */
export interface DataSegment {
  readonly kind: "data";
  readonly bytes: Uint8Array;
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

export type Segment = RemoteSegment | LocalSegment | DataSegment | ZeroSegment | HeldSegment;

export interface Recipe {
  readonly target: { readonly digest: Digest; readonly size: number };
  /**
   * In the order of the target's bytes, without gaps. A remote or local segment without a digest may be cut by the
   * assembler. Best an object that can be iterated again: falling back starts over, skipping what is done. A generator
   * object is good for one try only.
   */
  readonly segments: Iterable<Segment> | AsyncIterable<Segment>;
}

export function segmentLength(segment: Segment): number {
  return segment.kind === "data" ? segment.bytes.length : segment.length;
}
