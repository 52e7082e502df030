/** What a pull reports: exactly the shape of `varve pull --json`. */
import type { Digest } from "../oci/digest.ts";
import type { ByteCounts } from "../recipe/bytes.ts";
import type { DriverName } from "../snapshot/types.ts";

/** A way that was tried and left. */
export interface Fallback {
  readonly from: string;
  readonly reason: string;
}

/**
 * `present`: it was here, perhaps in another form that its tar was made of. `librsync-delta`, `tar-diff`: made of layers that were here and of what
 * is new; the delta is not kept. `zstd-chunked`, `estargz`: made of what was here and of the pieces of its blob that were not; the blob itself is not kept. `disk`: a chunk of a
 * machine's disk, whose bytes are in the disk, and whose blob is not kept.
 */
export type LayerHow =
  | "present"
  | "full"
  | "resumed"
  | "zstd-chunked"
  | "estargz"
  | "librsync-delta"
  | "tar-diff"
  | "disk";

/** How a layer came into the snapshots: it was there, it was held under other parents, or it was unpacked. */
export type UnpackHow = "present" | "adopted" | "unpacked";

export interface LayerResult {
  readonly digest: Digest;
  /** Null for artifacts, whose layers have none. Of a chunk of a disk: the digest of its bytes, where that is known. */
  readonly diffId: Digest | null;
  readonly mediaType: string;
  /** Bytes as the manifest has it. */
  readonly size: number;
  readonly how: LayerHow;
  readonly bytes: ByteCounts;
  readonly fallbacks: readonly Fallback[];
  /** Null when nothing is unpacked, and in plans. */
  readonly unpack: UnpackHow | null;
  /** Requests for its content; a retry is one too. */
  readonly requests: number;
  /** Why this way: in plans, and where there was a choice. */
  readonly why?: string;
}

/** A disk of a machine that was pulled. */
export interface DiskResult {
  /** As the image calls it. */
  readonly name: string;
  /** What the store knows it by, see `diskKey`. */
  readonly key: Digest;
  /** Bytes, holes included; null where only whoever has decoded it knows. */
  readonly size: number | null;
  /** Bytes of disk space that it takes; null where it is not here, or only as its blobs. */
  readonly allocatedBytes: number | null;
  /** The raw disk, which only the store may write; null where it is not here. */
  readonly path: string | null;
  /** Sums of its chunks' rows; `copied` are those of the local bytes that were taken from another place of the same disks. */
  readonly bytes: ByteCounts & { readonly copied: number };
  readonly requests: number;
}

export interface PullResult {
  readonly reference: string;
  /** Of the root: what the tag points to. Null in the plan of a delta image of which only the pull finds out how large its layers are. */
  readonly digest: Digest | null;
  /** Of the delta image's manifest, where the name was that of one: `digest` and all else then are those of the image that it made. */
  readonly deltaDigest?: Digest;
  readonly mediaType: string;
  /** Null where nothing tells. */
  readonly platform: string | null;
  readonly imageId: Digest;
  /** Null for artifacts and images without layers. */
  readonly chainId: Digest | null;
  readonly status: "pulled" | "up-to-date" | "planned";
  /** What the image is unpacked by; null when it is only checked, or not even that. */
  readonly snapshotter: DriverName | null;
  readonly bytes: ByteCounts & { readonly total: number };
  readonly requests: number;
  readonly retries: number;
  /** Bytes of earlier, interrupted pulls that did not have to be fetched again. */
  readonly resumedBytes: number;
  readonly durationMs: number;
  readonly peakRssBytes: number;
  readonly layers: readonly LayerResult[];
  /** Of the images of virtual machines, and of no others. */
  readonly disks?: readonly DiskResult[];
  readonly warnings: readonly string[];
}

/** What came of a pull, apart from what its report counts. */
export interface PullDone extends Pick<PullResult, "status" | "layers" | "resumedBytes" | "disks"> {
  /** What the image is unpacked by. */
  readonly snapshotter?: DriverName | undefined;
  readonly warnings?: readonly string[];
}
