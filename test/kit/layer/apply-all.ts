/** Layers, given as nodes or as tars, applied into a directory one over the other. */
import { applyLayer } from "../../../src/layer/apply-layer.ts";
import { LayerApplier, type ApplyOptions } from "../../../src/layer/apply.ts";
import type { ApplyReport } from "../../../src/layer/report.ts";
import { packTree } from "../images/pack-tree.ts";
import type { TreeNode } from "../trees/tree-node.ts";

export type KitTar = readonly TreeNode[] | Uint8Array;

export async function applyAll(
  root: string,
  layers: readonly KitTar[],
  options: ApplyOptions = {},
): Promise<ApplyReport> {
  using applier = new LayerApplier(root, options);
  for (const layer of layers) {
    const tar = layer instanceof Uint8Array ? layer : packTree(layer);
    await applyLayer(piecesOf(tar), applier);
  }
  return applier.finish();
}

/** A tar as it arrives: in pieces that mind no border. */
export async function* piecesOf(tar: Uint8Array, size = 65_521): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < tar.length; at += size) yield tar.subarray(at, at + size);
}
