/**
 * Layers as directories that overlayfs lays over each other:
 *
 *     snapshots/<id>/fs          a layer's own files, whiteouts and opaque directories among them; what is written to an active snapshot
 *     snapshots/<id>/work        what overlayfs needs to write there
 *     snapshots/<id>/layer.json  what other parents have to know to share the tree
 *     snapshots/<id>/tar-split.json.zst  what gives the layer's tar again with the tree, where its blob was not to stay
 *
 * Mounts are those of containerd's overlay snapshotter: a single layer is bound, several are an overlay.
 */
import { constants, copyFile, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { LayerTarget, UnpackedLayer } from "../../layer/layer-target.ts";
import { NEW_UPPER, settleImplied } from "../../layer/overlay-settle.ts";
import { splitPath } from "../../layer/seekable/split-path.ts";
import type { Digest } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { SnapshotRecords } from "../../store/snapshot-records.ts";
import type { Store } from "../../store/store.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { syncFileSystem } from "../../sys/syncfs.ts";
import { cloneTree } from "../copy/clone-tree.ts";
import { exists, removeFolder } from "../folder.ts";
import { overlayOptions, type OverlayPaths } from "../mount/parse-mount.ts";
import { overlayFlags, type OverlayKind } from "../probe/try-overlay.ts";
import { treeUsage } from "../tree-usage.ts";
import type { BindOptions, Bound, Driver, Mount, SnapshotRecord, Usage } from "../types.ts";
import { factsOf, readFacts, writeFacts, type LayerFacts } from "./layer-facts.ts";
import { marksKind } from "./marks-kind.ts";
import { replay } from "./replay.ts";
import { isSameSettlement } from "./same-settlement.ts";

export type OverlayDriverStore = Pick<Store, "root"> & { readonly snapshots: Pick<SnapshotRecords, "findByDiffId"> };

/** An unpacked layer that others may have too. */
interface HeldLayer {
  /** The snapshot whose folder it is in. */
  readonly owner: number;
  readonly facts: LayerFacts;
}

export class OverlayDriver implements Driver {
  readonly name = "overlay";
  readonly parallel = true;
  readonly #store: OverlayDriverStore;
  readonly #layout: StoreLayout;
  readonly #kind: OverlayKind;

  private constructor(store: OverlayDriverStore, kind: OverlayKind) {
    this.#store = store;
    this.#layout = new StoreLayout(store.root);
    this.#kind = kind;
  }

  /** @throws DRIVER_UNAVAILABLE without foreign calls, and for who cannot see the marks of the layers that are there */
  static async open(store: OverlayDriverStore): Promise<OverlayDriver> {
    return new OverlayDriver(store, await marksKind(new StoreLayout(store.root).snapshots));
  }

  async create(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<void> {
    const { folder, fs, work } = this.#paths(snapshot.id);
    await this.#doing(`making the snapshot ${snapshot.key}`, async () => {
      // Trees hold set-uid programs; who mounts them decides who gets at them.
      await makeDirectory(folder, { mode: 0o700 });
      await mkdir(fs, { recursive: true });
      const lower = this.#treesOf(parents);
      settleImplied({ directory: fs, open: NEW_UPPER, parents: lower, userXattr: this.#kind.userXattr });
      if (snapshot.kind === "active" && lower.length > 0) await mkdir(work, { recursive: true });
    });
  }

  async mounts(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<readonly Mount[]> {
    const { fs, work } = this.#paths(snapshot.id);
    const lower = this.#treesOf(parents);
    const [nearest, ...others] = lower;
    if (snapshot.kind === "active") {
      return nearest === undefined ? [bind(fs, "rw")] : [this.#overlay({ lower, upper: fs, work })];
    }
    return others.length === 0 ? [bind(nearest ?? fs, "ro")] : [this.#overlay({ lower }, ["ro"])];
  }

  usage(snapshot: SnapshotRecord): Promise<Usage> {
    return snapshot.tree === undefined ? treeUsage(this.#paths(snapshot.id).fs) : Promise.resolve(NOTHING);
  }

  target(snapshot: SnapshotRecord): LayerTarget {
    const { folder, fs } = this.#paths(snapshot.id);
    return { form: "overlay", directory: fs, userXattr: this.#kind.userXattr, split: splitPath(folder) };
  }

  async bind(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[], options: BindOptions): Promise<Bound> {
    const { folder, work } = this.#paths(snapshot.id);
    return this.#doing(`binding the snapshot ${snapshot.key}`, async () => {
      const { layer, signal } = options;
      if (layer !== undefined) await this.#settle(snapshot, parents, layer, options);
      await removeTree(work);
      const usage = await treeUsage(this.#paths(snapshot.id).fs, signal === undefined ? {} : { signal });
      if (options.sync !== false) await syncFileSystem(folder);
      return { ...usage, ...(layer !== undefined && { diffId: layer.diffId }) };
    });
  }

  async holds(diffId: Digest): Promise<boolean> {
    return (await this.#find(diffId)) !== undefined;
  }

  /** Shares the tree where it would be the same on these parents, and clones it where it would not. */
  async adopt(
    snapshot: SnapshotRecord,
    parents: readonly SnapshotRecord[],
    diffId: Digest,
    options: BindOptions,
  ): Promise<Bound> {
    const held = await this.#find(diffId);
    if (held === undefined) throw new VarveError("SNAPSHOT_NOT_FOUND", `the layer ${diffId} is held no more`);
    const { folder, fs } = this.#paths(snapshot.id);
    const { implied } = held.facts;
    return this.#doing(`adopting the layer ${diffId}`, async () => {
      await makeDirectory(folder, { mode: 0o700 });
      const directory = this.#paths(held.owner).fs;
      const trial = join(folder, "trial");
      const trees = this.#treesOf(parents);
      const { userXattr } = this.#kind;
      if (await isSameSettlement({ directory, implied, parents: trees, userXattr, trial })) {
        await removeTree(fs);
        return { ...NOTHING, diffId, tree: held.owner };
      }
      await removeTree(fs);
      await cloneTree(directory, fs, options.signal === undefined ? {} : { signal: options.signal });
      await copyIfThere(splitPath(this.#paths(held.owner).folder), splitPath(folder));
      await this.#settle(snapshot, parents, { diffId, open: { implied, replay: undefined } }, options);
      const usage = await treeUsage(fs);
      if (options.sync !== false) await syncFileSystem(folder);
      return { ...usage, diffId };
    });
  }

  async remove(snapshot: SnapshotRecord): Promise<void> {
    await removeFolder(this.#layout.snapshot(snapshot.id));
  }

  async #settle(
    snapshot: SnapshotRecord,
    parents: readonly SnapshotRecord[],
    layer: Pick<UnpackedLayer, "diffId" | "open">,
    options: BindOptions,
  ): Promise<void> {
    const { folder, fs } = this.#paths(snapshot.id);
    const { diffId, open } = layer;
    const trees = this.#treesOf(parents);
    const { replay: why } = settleImplied({ directory: fs, open, parents: trees, userXattr: this.#kind.userXattr });
    if (why !== undefined) {
      const { tar, signal } = options;
      if (tar === undefined) throw needsTar(diffId, why);
      const work = join(folder, "replay");
      const made = await replay({
        folder: work,
        parents: trees,
        kind: this.#kind,
        tar,
        diffId,
        ...(signal !== undefined && { signal }),
      });
      await removeTree(fs);
      // What it was taken of is no more.
      await rm(splitPath(folder), { force: true });
      await rename(made, fs);
      await removeTree(work);
    }
    await writeFacts(folder, factsOf(diffId, open, why !== undefined));
  }

  async #find(diffId: Digest): Promise<HeldLayer | undefined> {
    for (const { id, tree } of await this.#store.snapshots.findByDiffId(this.name, diffId)) {
      const owner = tree ?? id;
      const { folder, fs } = this.#paths(owner);
      const facts = await readFacts(folder);
      if (facts?.diffId === diffId && facts.portable && (await exists(fs))) return { owner, facts };
    }
    return undefined;
  }

  #overlay(paths: OverlayPaths, more: readonly string[] = []): Mount {
    const options = overlayOptions(paths, [...more, ...overlayFlags(this.#kind)]);
    return { type: "overlay", source: "overlay", options };
  }

  /**
   * Where the parents' trees are, the nearest first. An image may have a layer several times, and the kernel takes no directory twice: what
   * lies lower is hidden entry by entry, and marks anew nothing that is not marked above.
   */
  #treesOf(parents: readonly SnapshotRecord[]): string[] {
    return [...new Set(parents.map(({ id, tree }) => this.#paths(tree ?? id).fs))];
  }

  #paths(id: number): { readonly folder: string; readonly fs: string; readonly work: string } {
    const folder = this.#layout.snapshot(id);
    return { folder, fs: join(folder, "fs"), work: join(folder, "work") };
  }

  async #doing<T>(what: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw toVarveError(error, what);
    }
  }
}

/** What a tree takes that another snapshot has already. */
const NOTHING: Usage = { bytes: 0, inodes: 0 };

async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await copyFile(from, to, constants.COPYFILE_FICLONE);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

function bind(source: string, access: "ro" | "rw"): Mount {
  return { type: "bind", source, options: [access, "rbind"] };
}

function needsTar(diffId: Digest, why: string): VarveError {
  return new VarveError(
    "SNAPSHOT_STATE",
    `the layer ${diffId} has to be applied onto its parents, and its tar is not here: ${why}`,
    {
      hint: "pull the image again",
      detail: { diffId },
    },
  );
}
