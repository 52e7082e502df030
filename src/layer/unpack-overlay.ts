/** One layer's tar into a directory in overlay form, in one pass over its bytes and without its parents: parsed, applied and hashed. */
import type { TarLimits } from "../codec/tar/entry.ts";
import type { Digest, DigestAlgorithm } from "../oci/digest.ts";
import { checkDiffId, readTar } from "./apply-layer.ts";
import type { LayerTarget, UnpackedLayer } from "./layer-target.ts";
import type { ApplyLimits } from "./limits.ts";
import { OverlayApplier } from "./overlay-applier.ts";

export interface UnpackOverlayOptions {
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
 * Unpacks an uncompressed tar into `target.directory`, which exists and is empty; nothing is written outside of it. When `open.replay` of the
 * result is set, what the directory holds is of no use.
 * @throws LAYER_INVALID, LAYER_LIMIT, DIFFID_MISMATCH, NO_SPACE, PERMISSION, SNAPSHOT_STATE, FFI_UNAVAILABLE; the source's errors and the
 * signal's reason as they are. The directory is then incomplete.
 */
export async function unpackOverlay(
  tar: AsyncIterable<Uint8Array>,
  target: LayerTarget & { readonly form: "overlay" },
  options: UnpackOverlayOptions = {},
): Promise<UnpackedLayer> {
  const { limits, tarLimits, ...rest } = options;
  options.signal?.throwIfAborted();
  using applier = new OverlayApplier(target.directory, {
    userXattr: target.userXattr,
    ...(limits !== undefined && { limits }),
  });
  // Imported here, for most layers keep their blobs.
  const keeping = target.split === undefined ? undefined : (await import("./seekable/kept-split.ts")).SplitKeeper;
  using keeper = keeping && new keeping(applier, target.split!);
  const { diffId, size } = await readTar(tar, keeper ?? applier, {
    ...rest,
    ...(tarLimits !== undefined && { limits: tarLimits }),
  });
  checkDiffId(diffId, options.diffId);
  const { report, open } = applier.finish();
  if (open.replay === undefined) await keeper?.keep(target.directory, size);
  return { diffId, size, report, open };
}
