/**
 * The trees that chains of layers make, in memory. Binding a layer changes the tree of its parent into its own, so that binding n layers
 * in their order takes as long as reading each of them once; the last few trees are kept for that. Any other is made from the nearest
 * index that there is, or from the lowest layer up.
 */
import { readErofs } from "../../codec/erofs/reader.ts";
import type { IndexTree } from "../../codec/erofs/tree.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { bindLayer, type IndexedLayer } from "../../layer/index-replay.ts";
import { emptyIndex } from "../../layer/index-tree.ts";
import type { OpenEnds } from "../../layer/layer-target.ts";
import type { Digest } from "../../oci/digest.ts";
import type { StoreLayout } from "../../store/layout.ts";
import type { SnapshotRecord } from "../types.ts";
import type { LayerStore } from "./layer-store.ts";
import { readIndex } from "./merged-index.ts";

/** Images whose layers are bound at the same time. */
const KEPT = 3;

export class MergedTrees {
  readonly #layout: StoreLayout;
  readonly #layers: LayerStore;
  readonly #kept = new Map<number, IndexTree>();

  constructor(layout: StoreLayout, layers: LayerStore) {
    this.#layout = layout;
    this.#layers = layers;
  }

  /**
   * The tree of a chain, the caller's to change.
   * @param chain committed snapshots, the nearest first
   * @throws INDEX_INVALID when a layer is missing or damaged, and as `bindLayer`
   */
  async take(chain: readonly SnapshotRecord[]): Promise<IndexTree> {
    const missing: SnapshotRecord[] = [];
    let tree: IndexTree | undefined;
    for (const snapshot of chain) {
      tree = await this.#find(snapshot);
      if (tree !== undefined) break;
      missing.push(snapshot);
    }
    tree ??= emptyIndex();
    for (const snapshot of missing.toReversed()) tree = bindLayer(tree, this.#layers.read(diffIdOf(snapshot)));
    return tree;
  }

  /**
   * Puts a layer over the tree of a chain and keeps what comes of it for the snapshot `id`. A lowest layer that left nothing open waits
   * until the next one asks for it, because nothing can be wrong with it that its own unpacking has not told.
   * @throws as {@link take}
   */
  async bind(
    id: number,
    chain: readonly SnapshotRecord[],
    { open, read }: { readonly open: OpenEnds; readonly read: () => IndexedLayer },
  ): Promise<void> {
    if (chain.length === 0 && open.replay === undefined) return;
    this.keep(id, bindLayer(await this.take(chain), read()));
  }

  /** Keeps the tree of a snapshot, which belongs to this from then on, until it is taken. */
  keep(id: number, tree: IndexTree): void {
    this.#kept.delete(id);
    this.#kept.set(id, tree);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break;
      this.#kept.delete(oldest);
    }
  }

  /** A snapshot is gone. */
  forget(id: number): void {
    this.#kept.delete(id);
  }

  async #find({ id }: SnapshotRecord): Promise<IndexTree | undefined> {
    const kept = this.#kept.get(id);
    if (kept !== undefined) {
      this.#kept.delete(id);
      return kept;
    }
    const found = await readIndex(this.#layout.snapshot(id));
    return found === undefined ? undefined : readErofs(found.bytes);
  }
}

/** @throws INTERNAL for a snapshot that no layer was bound to */
export function diffIdOf({ key, diffId }: SnapshotRecord): Digest {
  if (diffId !== undefined) return diffId;
  throw new VarveError("INTERNAL", `the committed snapshot ${key} has no DiffID`);
}
