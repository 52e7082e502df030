/** Layers as they are, with their indexes: `layers/<alg>/<hex>`, one folder for each DiffID, whoever uses it. */
import { open, rename, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { FILES, type IndexFacts } from "../../layer/index-facts.ts";
import { readLayer, readLayerFacts, type StoredLayer } from "../../layer/read-layer.ts";
import type { Digest } from "../../oci/digest.ts";
import { syncNames } from "../../store/durable.ts";
import type { StoreLayout } from "../../store/layout.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { exists, namesIn, removeFolder } from "../folder.ts";

/** Names of the files that hold a layer's content, in the order in which its index counts them. */
export function deviceFiles({ extraSize }: Pick<IndexFacts, "extraSize">): string[] {
  return extraSize === 0 ? [FILES.tar] : [FILES.tar, FILES.extra];
}

export class LayerStore {
  readonly #layout: StoreLayout;

  constructor(layout: StoreLayout) {
    this.#layout = layout;
  }

  folder(diffId: Digest): string {
    return this.#layout.layer(diffId);
  }

  /** Facts of a layer that is held whole, as far as its files' sizes tell. */
  async find(diffId: Digest): Promise<IndexFacts | undefined> {
    return factsIn(this.folder(diffId), diffId);
  }

  /** @throws INDEX_INVALID when it is missing or damaged */
  read(diffId: Digest): StoredLayer {
    return readChecked(this.folder(diffId), diffId);
  }

  /**
   * Puts a layer that was unpacked elsewhere among the others, in one step. If it is there already, that one stays and this one is removed.
   * @param from its directory; it may be missing when that was done before
   * @throws INDEX_INVALID when it is in neither place; NodeJS.ErrnoException
   */
  async take(from: string, diffId: Digest, { sync }: { readonly sync: boolean }): Promise<void> {
    const to = this.folder(diffId);
    if (await this.#put(from, to, diffId, sync)) await removeTree(from);
    if (sync) await this.syncName(diffId);
  }

  /** Makes it durable that the layer is there; who put it there may have died before. */
  syncName(diffId: Digest): Promise<void> {
    return syncNames(dirname(this.folder(diffId)));
  }

  /** @returns whether it was there already */
  async #put(from: string, to: string, diffId: Digest, sync: boolean): Promise<boolean> {
    if ((await factsIn(to, diffId)) !== undefined) return true;
    if (!(await exists(from))) throw missing(to);
    // What is there is no whole layer: a repair.
    await removeFolder(to);
    if (sync) await syncFiles(from);
    await makeDirectory(dirname(to), { mode: 0o755 });
    try {
      await rename(from, to);
      return false;
    } catch (error) {
      // Another was faster.
      if ((await factsIn(to, diffId)) === undefined) throw error;
      return true;
    }
  }
}

/** @throws INDEX_INVALID */
export function readChecked(folder: string, diffId: Digest): StoredLayer {
  const layer = readLayer(folder);
  if (layer.facts.diffId === diffId) return layer;
  throw new VarveError("INDEX_INVALID", `${folder} holds the layer ${layer.facts.diffId} instead of ${diffId}`);
}

async function factsIn(folder: string, diffId: Digest): Promise<IndexFacts | undefined> {
  try {
    const facts = readLayerFacts(folder);
    if (facts.diffId !== diffId) return undefined;
    const sizes: [string, number][] = [
      [FILES.index, facts.index.size],
      [FILES.tar, facts.size],
    ];
    if (facts.extraSize > 0) sizes.push([FILES.extra, facts.extraSize]);
    for (const [name, size] of sizes) if ((await stat(join(folder, name))).size !== size) return undefined;
    return facts;
  } catch (error) {
    if (isVarveError(error, "INDEX_INVALID") || (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function syncFiles(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) {
    await using file = await open(join(folder, name), "r");
    await file.sync();
  }
  await syncNames(folder);
}

function missing(folder: string): VarveError {
  return new VarveError("INDEX_INVALID", `the layer ${folder} is missing`, {
    hint: "varve fsck --repair, or pull the image again",
  });
}
