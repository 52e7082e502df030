/**
 * How one content of a disk is got (formats "tart" §2 and §3): from a place where this machine holds it, or by decoding its chunk's blob; or, where an
 * earlier try left its beginning, by decoding the blob from the last border between its blocks that this reaches to.
 *
 * A recipe of the whole has one segment without a digest: that would be the target's, which is computed anyway, and the front grows while it comes.
 */
import type { BlockBorder } from "../codec/apple-lz4/decoder.ts";
import type { DiskChunk } from "../codec/tart/disk-image.ts";
import type { Digest } from "../oci/digest.ts";
import type { FrameCodec, FramesSegment, HeldSegment, Segment } from "../recipe/segment.ts";
import type { DecoderCheckpoints } from "../store/disks/types.ts";
import { RangeSet } from "../store/range-set.ts";
import type { ByteRange } from "../store/types.ts";
import type { LocalPlace } from "../store/local-sources/types.ts";
import { costOf, type Cost, type Plan } from "./plan.ts";
import { planResume } from "./resume.ts";

/** What is here of a content. */
export interface ContentHere {
  /** Where this machine holds it, outside of the disk that is being made. */
  readonly place?: LocalPlace | undefined;
  /** Whether the chunk's blob is here, so that nothing of it comes over the network. Default false. */
  readonly blobHeld?: boolean;
  /** What an earlier try left in its place, by positions in the content. Default: nothing. */
  readonly held?: Iterable<ByteRange>;
  /** Where decoding can be taken up again. Default: nowhere but at the start. */
  readonly checkpoints?: Pick<DecoderCheckpoints, "before">;
}

/** What decodes a chunk's blob, where anything has to. */
const CODECS: Readonly<Record<DiskChunk["coding"], FrameCodec | undefined>> = {
  "apple-lz4": "apple-lz4",
  "lz4-frames": "lz4-frames",
  gzip: "gzip",
  stored: undefined,
};

/**
 * The plan of one content. What an earlier try left counts for nothing where it has no beginning that ends at, or behind, a border; unless the blob
 * is not compressed.
 *
 * A resumed plan that comes out wrong (`DIGEST_MISMATCH`, or whatever has `detail.whole`) has dropped what was left; the plan of the whole is next.
 */
export function planContent(chunk: DiskChunk & { readonly digest: Digest }, here: ContentHere = {}): Plan {
  const { place, blobHeld = false, held = [], checkpoints } = here;
  const { digest, size, blob } = chunk;
  if (place !== undefined) {
    const segment: Segment = { kind: "local", ...place, length: size, digest };
    return planOf(chunk, [segment], "a disk that is here holds it");
  }
  const codec = CODECS[chunk.coding];
  const why = blobHeld ? "its blob is here" : "nothing that is here holds it";
  if (codec === undefined) {
    const plan = planResume(planOf(chunk, [{ kind: "remote", blob, start: 0, length: size }], why), held);
    return withoutNetwork(plan, blobHeld, size);
  }
  const whole: FramesSegment = { kind: "frames", blob, start: 0, length: blob.size, codec, size };
  const front = Math.min(new RangeSet(held).contiguousEnd(), size);
  if (front === size) return planOf(chunk, [{ kind: "held", length: size, instead: whole }], "an earlier try left all");
  const border = codec === "apple-lz4" ? lastBorder(chunk, front, checkpoints) : undefined;
  const plan =
    border === undefined
      ? planOf(chunk, [whole], why)
      : planOf(chunk, fromBorder(chunk, border), `${border.decoded} of ${size} bytes are here from an earlier try`);
  return withoutNetwork(plan, blobHeld, size);
}

/** The last border that the front has reached. What is kept of borders is believed only as far as it can be true. */
function lastBorder(
  { blob, size }: DiskChunk,
  front: number,
  checkpoints: ContentHere["checkpoints"],
): BlockBorder | undefined {
  const border = checkpoints?.before(front);
  if (border === undefined) return undefined;
  const { encoded, decoded } = border;
  const isSane = [encoded, decoded].every((n) => Number.isSafeInteger(n) && n > 0);
  return isSane && decoded <= front && decoded < size && encoded < blob.size ? border : undefined;
}

function fromBorder({ blob, size }: DiskChunk, { encoded, decoded }: BlockBorder): [HeldSegment, FramesSegment] {
  const codec = "apple-lz4";
  const before: FramesSegment = { kind: "frames", blob, start: 0, length: encoded, codec, size: decoded };
  return [
    { kind: "held", length: decoded, instead: before },
    { kind: "frames", blob, start: encoded, length: blob.size - encoded, codec, size: size - decoded, linked: true },
  ];
}

function planOf({ digest, size }: DiskChunk & { readonly digest: Digest }, segments: Segment[], why: string): Plan {
  return { how: "disk", recipe: { target: { digest, size }, segments }, cost: costOf(segments), why };
}

/** Bytes that are made of a blob that is here are local ones. */
function withoutNetwork(plan: Plan, blobHeld: boolean, size: number): Plan {
  const cost: Cost = { network: 0, local: size, data: 0, zero: 0, requests: 0 };
  return blobHeld ? { ...plan, cost } : plan;
}
