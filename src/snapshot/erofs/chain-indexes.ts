/** Which index shows a chain of layers, and which files are its devices. Made when it is asked for first. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { FILES, type IndexFacts } from "../../layer/index-facts.ts";
import { digestAlgorithm, digestOf, type Digest } from "../../oci/digest.ts";
import type { StoreLayout } from "../../store/layout.ts";
import type { SnapshotRecord } from "../types.ts";
import { deviceFiles, type LayerStore } from "./layer-store.ts";
import { indexPath, readIndex, writeIndex, type LayerFile } from "./merged-index.ts";
import { diffIdOf, type MergedTrees } from "./merged-trees.ts";

export interface ChainIndex {
  readonly path: string;
  /** Paths, in the order of the index's slots. */
  readonly devices: readonly string[];
}

/** Part of the name of every mark that a layer's own index may have: `trusted.` is a number there. */
const MARKS = "overlay.";

export class ChainIndexes {
  readonly #layout: StoreLayout;
  readonly #layers: LayerStore;
  readonly #trees: MergedTrees;

  constructor(layout: StoreLayout, layers: LayerStore, trees: MergedTrees) {
    this.#layout = layout;
    this.#layers = layers;
    this.#trees = trees;
  }

  /**
   * @param chain the nearest first, at least one
   * @param sync whether an index that is made now survives a power cut whole or not at all. Default true
   * @throws INDEX_INVALID when a layer is missing or damaged; NodeJS.ErrnoException
   */
  async prepare(chain: readonly SnapshotRecord[], sync = true): Promise<ChainIndex> {
    const [top, ...others] = chain as [SnapshotRecord, ...SnapshotRecord[]];
    const single = others.length === 0 ? await this.#ownIndex(diffIdOf(top)) : undefined;
    if (single !== undefined) return single;
    const folder = this.#layout.snapshot(top.id);
    const found = await readIndex(folder);
    if (found !== undefined) return { path: indexPath(folder), devices: this.#paths(found.description.devices) };
    const diffIds = chain.map(diffIdOf).toReversed();
    const devices: LayerFile[] = [];
    for (const diffId of diffIds) {
      const files = deviceFiles((await this.#layers.find(diffId)) ?? this.#layers.read(diffId).facts);
      devices.push(...files.map((file) => ({ diffId, file })));
    }
    const tree = await this.#trees.take(chain);
    await writeIndex(folder, tree, { diffIds, devices, sync });
    this.#trees.keep(top.id, tree);
    return { path: indexPath(folder), devices: this.#paths(devices) };
  }

  /** The lowest layer's own index shows it as well as another would, unless it has marks, which have nothing to hide there. */
  async #ownIndex(diffId: Digest): Promise<ChainIndex | undefined> {
    const facts = await this.#layers.find(diffId);
    if (facts === undefined || facts.open.replay !== undefined) return undefined;
    const folder = this.#layers.folder(diffId);
    const path = join(folder, FILES.index);
    if (!isPlain(readFileSync(path), facts)) return undefined;
    return { path, devices: this.#paths(deviceFiles(facts).map((file) => ({ diffId, file }))) };
  }

  #paths(files: readonly LayerFile[]): string[] {
    return files.map(({ diffId, file }) => join(this.#layers.folder(diffId), file));
  }
}

function isPlain(index: Buffer, { index: { digest } }: IndexFacts): boolean {
  return !index.includes(MARKS) && digestOf(index, digestAlgorithm(digest)) === digest;
}
