/** Trees of layers that are held as tars, read through their indexes: nothing is mounted. */
import { join } from "node:path";
import { IndexDirectory } from "../../layer/diff/index-directory.ts";
import type { Tree } from "../../layer/diff/changes.ts";
import { StoreLayout } from "../../store/layout.ts";
import { deviceFiles, LayerStore } from "../erofs/layer-store.ts";
import { diffIdOf, MergedTrees } from "../erofs/merged-trees.ts";
import type { SnapshotRecord } from "../types.ts";

/**
 * @param root of the store
 * @param chain committed snapshots of the EROFS driver, the nearest first, at least one
 * @throws VarveError `INDEX_INVALID` when a layer is missing or damaged
 */
export async function packedTree(root: string, chain: readonly SnapshotRecord[]): Promise<Tree> {
  const layout = new StoreLayout(root);
  const layers = new LayerStore(layout);
  const tree = await new MergedTrees(layout, layers).take(chain);
  const devices: string[] = [];
  for (const diffId of chain.map(diffIdOf).toReversed()) {
    const facts = (await layers.find(diffId)) ?? layers.read(diffId).facts;
    devices.push(...deviceFiles(facts).map((file) => join(layers.folder(diffId), file)));
  }
  const directory = IndexDirectory.open(tree, devices);
  return { open: () => directory };
}
