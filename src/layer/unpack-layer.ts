/** One layer's tar to where a driver of snapshots wants it, in the form it wants. A pure function of the tar, which may run in a thread. */
import type { TarLimits } from "../codec/tar/entry.ts";
import type { Digest, DigestAlgorithm } from "../oci/digest.ts";
import type { LayerTarget, UnpackedLayer } from "./layer-target.ts";
import type { ApplyLimits } from "./limits.ts";

export interface UnpackLayerOptions {
  /** What the image's config says of the tar. Default: it is only told, not checked. */
  readonly diffId?: Digest;
  /** Of the DiffID that is told. Default: that of `diffId`, else sha256. */
  readonly algorithm?: DigestAlgorithm;
  readonly limits?: ApplyLimits;
  readonly tarLimits?: TarLimits;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the tar have been unpacked, after each chunk. */
  readonly onBytes?: (done: number) => void;
}

/**
 * Unpacks without the layers below; what depends on them is left open. Nothing is made durable.
 * @param tar uncompressed; a `TarStream` is not hashed again
 * @throws LAYER_INVALID, LAYER_LIMIT, DIFFID_MISMATCH, NO_SPACE, PERMISSION, FFI_UNAVAILABLE, IO; the source's errors and the signal's
 * reason as they are. What is in the directory then is of no use.
 */
export async function unpackLayer(
  tar: AsyncIterable<Uint8Array>,
  target: LayerTarget,
  options: UnpackLayerOptions = {},
): Promise<UnpackedLayer> {
  // Each is imported where it is wanted: a program uses one of them.
  switch (target.form) {
    case "erofs":
      return (await import("./unpack-erofs.ts")).unpackErofs(tar, target.directory, {
        ...options,
        ...(target.tar !== undefined && { from: target.tar }),
      });
    case "overlay":
      return (await import("./unpack-overlay.ts")).unpackOverlay(tar, target, options);
  }
}
