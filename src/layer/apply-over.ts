/** A layer that cannot stand by itself (`OpenEnds.replay`), applied where its parents can be seen: onto a mounted overlay of them. */
import type { TarLimits } from "../codec/tar/entry.ts";
import type { Digest, DigestAlgorithm } from "../oci/digest.ts";
import { applyLayer, type AppliedLayer } from "./apply-layer.ts";
import { LayerApplier } from "./apply.ts";
import type { ApplyLimits } from "./limits.ts";
import { LowerInPlace } from "./lower-in-place.ts";
import { LowerMerged } from "./lower-merged.ts";
import type { ApplyReport } from "./report.ts";

export interface ApplyOverOptions {
  /** What the image's config says of the tar. Default: it is only told, not checked. */
  readonly diffId?: Digest;
  /** Of the DiffID that is told. Default: that of `diffId`, else sha256. */
  readonly algorithm?: DigestAlgorithm;
  /**
   * What `root` is. Default "merged": a mounted overlay of the parents with a new upper directory (see `NEW_UPPER`), which becomes the
   * layer's; not with the option `index`, and with `metacopy` and `redirect_dir` off. "bottom": the empty directory of a layer that has no parents. "tree": a plain tree that holds the parents, such as a copy of it.
   */
  readonly onto?: "merged" | "bottom" | "tree";
  readonly limits?: ApplyLimits;
  readonly tarLimits?: TarLimits;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the tar have been applied, after each chunk. */
  readonly onBytes?: (done: number) => void;
}

/**
 * Applies an uncompressed tar as layers that are applied in turn are: names go through the parents' links, hard links reach their files.
 * @param root for example `/proc/self/fd/<n>` of a mount that is shown nowhere
 * @throws LAYER_INVALID, LAYER_LIMIT, DIFFID_MISMATCH, NO_SPACE, PERMISSION; the source's errors and the signal's reason as they are.
 * The tree is then incomplete.
 */
export async function applyOver(
  tar: AsyncIterable<Uint8Array>,
  root: string,
  options: ApplyOverOptions = {},
): Promise<AppliedLayer & { readonly report: ApplyReport }> {
  const { onto = "merged", limits, tarLimits, ...rest } = options;
  using applier = new LayerApplier(
    root,
    { begun: onto !== "bottom", ...(limits !== undefined && { limits }) },
    (tools) => (onto === "merged" ? new LowerMerged(tools) : new LowerInPlace(tools)),
  );
  const applied = await applyLayer(tar, applier, { ...rest, ...(tarLimits !== undefined && { limits: tarLimits }) });
  return { ...applied, report: applier.finish() };
}
