/** A layer that depends on its parents' content, applied onto a mount of them; what it writes becomes its tree. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { applyOver } from "../../layer/apply-over.ts";
import { NEW_UPPER, settleImplied } from "../../layer/overlay-settle.ts";
import type { Digest } from "../../oci/digest.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { overlayOptions } from "../mount/parse-mount.ts";
import { overlayFlags, type OverlayKind } from "../probe/try-overlay.ts";
import type { OpenTar } from "../types.ts";
import { withMounted } from "../with-mounted.ts";

export interface ReplayOptions {
  /** Where to work: a directory that is made for it, and that holds the tree as `fs` in the end. */
  readonly folder: string;
  /** Trees of the parents, the nearest first. */
  readonly parents: readonly string[];
  readonly kind: OverlayKind;
  readonly tar: OpenTar;
  readonly diffId: Digest;
  readonly signal?: AbortSignal;
}

/** @returns the tree's directory @throws as `applyOver` and `mountAll` */
export async function replay(options: ReplayOptions): Promise<string> {
  const { folder, parents, kind, tar, diffId, signal } = options;
  await removeTree(folder);
  const [upper, work] = [join(folder, "fs"), join(folder, "work")];
  await mkdir(upper, { recursive: true });
  const applying = { diffId, ...(signal !== undefined && { signal }) };
  if (parents.length === 0) {
    await applyOver(await tar(), upper, { ...applying, onto: "bottom" });
    return upper;
  }
  await mkdir(work);
  settleImplied({ directory: upper, open: NEW_UPPER, parents, userXattr: kind.userXattr });
  const mount = {
    type: "overlay",
    source: "overlay",
    options: overlayOptions({ lower: parents, upper, work }, overlayFlags(kind)),
  } as const;
  await withMounted([mount], async (root) => applyOver(await tar(), root, applying), { volatile: true });
  return upper;
}
