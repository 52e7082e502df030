/**
 * Layers that are never unpacked: each stays one tar, and the kernel mounts an index over all tars of a chain (formats erofs "Mounting").
 *
 *     layers/<alg>/<hex>          a layer, whatever its parents: its tar, its own index, its facts
 *     snapshots/<id>/index.erofs  the index of the chain up to a committed snapshot, made when it is mounted first, or `ready`; and index.json
 *     snapshots/<id>/layer        where a layer is written before it is bound
 *     snapshots/<id>/{fs,work}    what is written to an active snapshot: the upper directory of an overlay
 *     snapshots/<id>/lower        where the overlay expects the index to be mounted
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { IndexFacts } from "../../layer/index-facts.ts";
import type { LayerTarget, UnpackedLayer } from "../../layer/layer-target.ts";
import { NEW_UPPER, settleImplied } from "../../layer/overlay-settle.ts";
import type { Digest } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { Store } from "../../store/store.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { exists, removeFolder } from "../folder.ts";
import { overlayOptions } from "../mount/parse-mount.ts";
import { overlayFlags } from "../probe/try-overlay.ts";
import { treeUsage } from "../tree-usage.ts";
import type { BindOptions, Bound, Driver, Mount, SnapshotRecord, Usage } from "../types.ts";
import { withMounted } from "../with-mounted.ts";
import { ChainIndexes } from "./chain-indexes.ts";
import { LayerStore, readChecked } from "./layer-store.ts";
import { MergedTrees } from "./merged-trees.ts";
import { layerOfTree, layerOfUpper } from "./written-layer.ts";

/** In a user namespace, where marks would be `user.*`, no EROFS can be mounted. */
const KIND = { userXattr: false };

export class ErofsDriver implements Driver {
  readonly name = "erofs";
  readonly parallel = true;
  readonly #layout: StoreLayout;
  readonly #layers: LayerStore;
  readonly #trees: MergedTrees;
  readonly #indexes: ChainIndexes;

  constructor(store: Pick<Store, "root">) {
    this.#layout = new StoreLayout(store.root);
    this.#layers = new LayerStore(this.#layout);
    this.#trees = new MergedTrees(this.#layout, this.#layers);
    this.#indexes = new ChainIndexes(this.#layout, this.#layers, this.#trees);
  }

  async create(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<void> {
    const { folder, fs, work, lower } = this.#paths(snapshot.id);
    await doing(`making the snapshot ${snapshot.key}`, async () => {
      await makeDirectory(folder, { mode: 0o700 });
      if (snapshot.kind === "view" && parents.length > 0) return;
      await mkdir(fs, { recursive: true });
      if (parents.length === 0) return beginRoot(fs, []);
      await mkdir(work, { recursive: true });
      await mkdir(lower, { recursive: true });
      await withMounted([await this.#view(parents)], async (root) => beginRoot(fs, [root]));
    });
  }

  async mounts(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<readonly Mount[]> {
    const { fs, work, lower } = this.#paths(snapshot.id);
    const isActive = snapshot.kind === "active";
    if (parents.length === 0) return [{ type: "bind", source: fs, options: [isActive ? "rw" : "ro", "rbind"] }];
    const view = await doing("looking for an index", () => this.#view(parents));
    if (!isActive) return [view];
    const options = overlayOptions({ lower: [lower], upper: fs, work }, overlayFlags(KIND));
    return [
      { ...view, target: lower },
      { type: "overlay", source: "overlay", options },
    ];
  }

  async usage({ id }: SnapshotRecord): Promise<Usage> {
    const { fs, layer } = this.#paths(id);
    const both = await Promise.all([fs, layer].map(async (path) => ((await exists(path)) ? treeUsage(path) : NOTHING)));
    return both.reduce(
      (sum, { bytes, inodes }) => ({ bytes: sum.bytes + bytes, inodes: sum.inodes + inodes }),
      NOTHING,
    );
  }

  target({ id }: SnapshotRecord): LayerTarget {
    return { form: "erofs", directory: this.#paths(id).layer };
  }

  async bind(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[], options: BindOptions): Promise<Bound> {
    return doing(`binding the snapshot ${snapshot.key}`, async () => {
      const { layer: directory } = this.#paths(snapshot.id);
      const { diffId, open } = options.layer ?? (await this.#write(snapshot, parents, options.signal));
      // What cannot be bound is not put among the layers that are shared.
      const from = (await this.#layers.find(diffId)) === undefined ? directory : this.#layers.folder(diffId);
      await this.#trees.bind(snapshot.id, parents, { open, read: () => readChecked(from, diffId) });
      if (options.layer === undefined) await options.claim?.(diffId);
      await this.#layers.take(directory, diffId, { sync: options.sync !== false });
      return this.#bound(snapshot, parents, diffId, options);
    });
  }

  async holds(diffId: Digest): Promise<boolean> {
    return (await this.#layers.find(diffId)) !== undefined;
  }

  async adopt(
    snapshot: SnapshotRecord,
    parents: readonly SnapshotRecord[],
    diffId: Digest,
    options: BindOptions,
  ): Promise<Bound> {
    return doing(`adopting the layer ${diffId}`, async () => {
      await makeDirectory(this.#layout.snapshot(snapshot.id), { mode: 0o700 });
      const { open } = (await this.#layers.find(diffId)) ?? gone(diffId);
      await this.#trees.bind(snapshot.id, parents, { open, read: () => this.#layers.read(diffId) });
      if (options.sync !== false) await this.#layers.syncName(diffId);
      return this.#bound(snapshot, parents, diffId, options);
    });
  }

  /** What was written lies in the layer now. */
  async committed({ id }: SnapshotRecord): Promise<void> {
    const { fs, work, lower } = this.#paths(id);
    for (const path of [fs, work, lower]) await removeTree(path);
  }

  async remove({ id }: SnapshotRecord): Promise<void> {
    this.#trees.forget(id);
    await removeFolder(this.#layout.snapshot(id));
  }

  /** What its user has written to an active snapshot, as a layer. */
  async #write(
    { id }: SnapshotRecord,
    parents: readonly SnapshotRecord[],
    signal: AbortSignal | undefined,
  ): Promise<UnpackedLayer> {
    const { fs, work, layer } = this.#paths(id);
    // One that gets its parent only now was written over nothing.
    if (!(await exists(work))) return layerOfTree(fs, layer, signal);
    return withMounted([await this.#view(parents)], (lower) => layerOfUpper(fs, lower, layer, signal));
  }

  async #bound(
    snapshot: SnapshotRecord,
    parents: readonly SnapshotRecord[],
    diffId: Digest,
    { ready = false, sync = true }: BindOptions,
  ): Promise<Bound> {
    const facts = (await this.#layers.find(diffId)) ?? gone(diffId);
    if (ready) await this.#indexes.prepare([{ ...snapshot, diffId }, ...parents], sync);
    return { ...usageOf(facts), diffId };
  }

  async #view(parents: readonly SnapshotRecord[]): Promise<Mount> {
    const { path, devices } = await this.#indexes.prepare(parents);
    return { type: "erofs", source: path, options: ["ro", ...devices.map((device) => `device=${device}`)] };
  }

  #paths(id: number): Readonly<Record<"folder" | "fs" | "work" | "lower" | "layer", string>> {
    const folder = this.#layout.snapshot(id);
    const at = (name: string): string => join(folder, name);
    return { folder, fs: at("fs"), work: at("work"), lower: at("lower"), layer: at("layer") };
  }
}

const NOTHING: Usage = { bytes: 0, inodes: 0 };

/** Its files: the layer is counted with each snapshot that has it. */
function usageOf({ size, extraSize, index }: IndexFacts): Usage {
  return { bytes: size + extraSize + index.size, inodes: extraSize === 0 ? 3 : 4 };
}

/** An overlay's root has the attributes of its upper directory's, so that begins with those of the one below. */
function beginRoot(directory: string, parents: readonly string[]): void {
  settleImplied({ directory, open: NEW_UPPER, parents, userXattr: KIND.userXattr });
}

function gone(diffId: Digest): never {
  throw new VarveError("SNAPSHOT_NOT_FOUND", `the layer ${diffId} is held no more`, { detail: { diffId } });
}

async function doing<T>(what: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toVarveError(error, what);
  }
}
