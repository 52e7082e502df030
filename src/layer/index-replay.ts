/** A layer applied again from its tar, onto the tree of its parents, when its own index cannot say what it does to them. */
import { closeSync, fstatSync, openSync } from "node:fs";
import type { IndexTree } from "../codec/erofs/tree.ts";
import type { TarLimits } from "../codec/tar/entry.ts";
import { applyFault } from "./fault.ts";
import { IndexBuilder } from "./index-builder.ts";
import { mergeLayer } from "./index-merge.ts";
import type { OpenEnds } from "./layer-target.ts";
import type { ApplyLimits } from "./limits.ts";
import { readHeaders } from "./tar-headers.ts";

export interface ReplayOptions {
  readonly limits?: ApplyLimits;
  readonly tarLimits?: TarLimits;
}

/** A layer as `readLayer` gives it. */
export interface IndexedLayer {
  readonly tree: IndexTree;
  readonly open: OpenEnds;
  /** Path of its tar. */
  readonly tar: string;
  readonly tag: string;
}

/**
 * The layer over its parents. Both trees are changed and become part of the result, and neither may be used again, also after an error.
 * @throws LAYER_INVALID, LAYER_LIMIT for what applying the layer onto its parents would throw
 */
export function bindLayer(parent: IndexTree, layer: IndexedLayer, options: ReplayOptions = {}): IndexTree {
  const merged = mergeLayer(parent, layer.tree, layer.open, options.limits);
  return "tree" in merged ? merged.tree : replayLayer(parent, layer, options);
}

/** The same, always from the tar's headers, and from the pads behind files. */
export function replayLayer(
  parent: IndexTree,
  { tar, tag }: Pick<IndexedLayer, "tar" | "tag">,
  { limits, tarLimits }: ReplayOptions = {},
): IndexTree {
  const builder = new IndexBuilder({ onto: parent, ...(limits !== undefined && { limits }) });
  try {
    const file = openSync(tar, "r");
    try {
      readHeaders(file, builder, tarLimits);
      return builder.finish(fstatSync(file).size, tag).tree;
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw applyFault(error, undefined);
  }
}
