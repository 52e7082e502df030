/** What a pull reports: exactly the shape of `varve pull --json`. */
import type { Digest } from "../oci/digest.ts";
import type { ByteCounts } from "../recipe/bytes.ts";
import type { DriverName } from "../snapshot/types.ts";

/** A way that was tried and left. */
export interface Fallback {
  readonly from: string;
  readonly reason: string;
}

/** `zstd-chunked`, `estargz`: made of what was here and of the pieces of its blob that were not; the blob itself is not kept. */
export type LayerHow = "present" | "full" | "resumed" | "zstd-chunked" | "estargz";

/** How a layer came into the snapshots: it was there, it was held under other parents, or it was unpacked. */
export type UnpackHow = "present" | "adopted" | "unpacked";

export interface LayerResult {
  readonly digest: Digest;
  /** Null for artifacts, whose layers have none. */
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

export interface PullResult {
  readonly reference: string;
  /** Of the root: what the tag points to. */
  readonly digest: Digest;
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
  readonly warnings: readonly string[];
}
