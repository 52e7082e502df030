/** Trees of layers, beside which a tar-split was kept. */
import { join } from "node:path";
import { splitPath } from "../../layer/seekable/split-path.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { exists, folderIds } from "../../snapshot/folder.ts";
import { readFacts } from "../../snapshot/overlay/layer-facts.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { Store } from "../../store/store.ts";
import type { LayerForm } from "./layer-form.ts";

/** Those of this process's own store, as its database tells. */
export async function* ownTrees({ root, snapshots }: Store, diffId: Digest): AsyncGenerator<LayerForm> {
  const layout = new StoreLayout(root);
  for (const driver of ["overlay", "copy"]) {
    for (const { id, tree, key } of await snapshots.findByDiffId(driver, diffId)) {
      const folder = layout.snapshot(tree ?? id);
      if ((await layerOf(folder)) !== diffId) continue;
      yield { kind: "tree", ...placesIn(folder), ...(isDigest(key) && { key }) };
    }
  }
}

/** All of a store whose database is not asked: the folders themselves tell whose they are. */
export async function treesBelow(root: string): Promise<Map<Digest, LayerForm>> {
  const layout = new StoreLayout(root);
  const found = new Map<Digest, LayerForm>();
  // What may not be looked at is not there for us.
  for (const id of await folderIds(layout.snapshots).catch(() => [])) {
    const folder = layout.snapshot(id);
    const diffId = await layerOf(folder);
    if (diffId !== undefined) found.set(diffId, { kind: "tree", ...placesIn(folder) });
  }
  return found;
}

/** The layer whose tree and tar-split the folder has. What is still being made has no facts. */
async function layerOf(folder: string): Promise<Digest | undefined> {
  if (!(await exists(splitPath(folder)).catch(() => false))) return undefined;
  return (await readFacts(folder))?.diffId;
}

function placesIn(folder: string): { readonly root: string; readonly split: string } {
  return { root: join(folder, "fs"), split: splitPath(folder) };
}
