/**
 * Snapshots as whole trees: a child begins as a clone of its parent, which costs little where the file system shares contents and all of it
 * elsewhere. It needs nothing of the kernel, and is what is left where neither EROFS nor overlays can be mounted; bind mounts, for who
 * wants the trees elsewhere, need root as all mounts do.
 */
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { applyLayer } from "../../layer/apply-layer.ts";
import { LayerApplier } from "../../layer/apply.ts";
import type { ApplyReport } from "../../layer/report.ts";
import { splitPath } from "../../layer/seekable/split-path.ts";
import type { Digest } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { Store } from "../../store/store.ts";
import { makeDirectory } from "../../sys/make-directory.ts";
import { syncFileSystem } from "../../sys/syncfs.ts";
import { removeFolder } from "../folder.ts";
import { treeUsage } from "../tree-usage.ts";
import type { BindOptions, Bound, Driver, Mount, SnapshotRecord, Usage } from "../types.ts";
import { cloneTree, type CloneReport } from "./clone-tree.ts";
import { TreeFolder } from "./tree-folder.ts";

export type CopyDriverStore = Pick<Store, "root" | "locks">;

/** What came of filling a tree. */
interface Filled {
  readonly diffId?: Digest;
  readonly report?: ApplyReport;
}

interface Applying {
  readonly tree: string;
  readonly parent: SnapshotRecord | undefined;
  readonly diffId: Digest | undefined;
  readonly signal: AbortSignal | undefined;
  /** Where to keep what gives the tar again. Default: it is not kept. */
  readonly split?: string;
}

export class CopyDriver implements Driver {
  readonly name = "copy";
  readonly parallel = false;
  readonly #store: CopyDriverStore;
  readonly #layout: StoreLayout;

  constructor(store: CopyDriverStore) {
    this.#store = store;
    this.#layout = new StoreLayout(store.root);
  }

  async create(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<void> {
    await doing("making a snapshot", undefined, async () => {
      // Trees hold set-uid programs; who mounts them decides who gets at them.
      await makeDirectory(this.#layout.snapshot(snapshot.id), { mode: 0o700 });
      const [parent] = snapshot.kind === "view" ? [] : parents;
      await this.#folder(snapshot).replace((tree) => this.#begin(tree, parent));
    });
  }

  /** A view of a parent shows the parent's own tree. */
  async mounts(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<readonly Mount[]> {
    const [shown = snapshot] = snapshot.kind === "view" ? parents : [];
    const source = await doing("looking for a snapshot", undefined, () => this.#folder(shown).settle());
    return [{ type: "bind", source, options: ["rbind", snapshot.kind === "active" ? "rw" : "ro"] }];
  }

  usage(snapshot: SnapshotRecord): Promise<Usage> {
    return treeUsage(this.#folder(snapshot).tree);
  }

  /** Nothing is unpacked before its parents are there. */
  target(): undefined {
    return undefined;
  }

  /** With a tar, it is applied onto a clone of the parent. Without, what the user has written is put onto a parent that comes late. */
  async bind(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[], options: BindOptions): Promise<Bound> {
    const { tar, sync = true, signal, layer, split = false } = options;
    const [parent] = parents;
    const folder = this.#folder(snapshot);
    const kept = splitPath(this.#layout.snapshot(snapshot.id));
    return doing("binding a snapshot", signal, async () => {
      await folder.settle();
      let filled: Filled = {};
      if (tar !== undefined) {
        const diffId = layer?.diffId ?? snapshot.diffId;
        const bytes = await tar();
        await rm(kept, { force: true });
        await folder.replace(async (tree) => {
          filled = await this.#apply(bytes, { tree, parent, diffId, signal, ...(split && { split: kept }) });
        });
      } else if (parent !== undefined && snapshot.parent === undefined) {
        await folder.replace(async (tree) => {
          await this.#begin(tree, parent, signal);
          await cloneTree(folder.tree, tree, { onto: true, ...(signal !== undefined && { signal }) });
        });
      }
      const usage = await treeUsage(folder.tree, signal === undefined ? {} : { signal });
      if (sync) await syncFileSystem(folder.tree);
      return { ...usage, ...filled };
    });
  }

  /** A tree is never that of a layer alone. */
  holds(): Promise<boolean> {
    return Promise.resolve(false);
  }

  adopt(): Promise<Bound> {
    return Promise.reject(new VarveError("INTERNAL", "the copy driver holds no layers apart from their snapshots"));
  }

  async remove(snapshot: SnapshotRecord): Promise<void> {
    await removeFolder(this.#layout.snapshot(snapshot.id));
  }

  #folder(snapshot: SnapshotRecord): TreeFolder {
    return new TreeFolder(this.#layout.snapshot(snapshot.id));
  }

  /** Fills a missing directory with the parent's tree, or makes it an empty root. */
  async #begin(
    tree: string,
    parent: SnapshotRecord | undefined,
    signal?: AbortSignal,
  ): Promise<CloneReport | undefined> {
    if (parent === undefined) {
      await TreeFolder.makeRoot(tree);
      return undefined;
    }
    const from = this.#folder(parent).tree;
    // Who may not read all of what he owns changes modes for a moment, so one at a time then.
    using _lock = process.geteuid?.() === 0 ? undefined : await this.#store.locks.snapshot(parent.id, signal);
    return cloneTree(from, tree, signal === undefined ? {} : { signal });
  }

  async #apply(tar: AsyncIterable<Uint8Array>, { tree, parent, diffId, signal, split }: Applying): Promise<Filled> {
    const cloned = await this.#begin(tree, parent, signal);
    using applier = new LayerApplier(tree, { begun: parent !== undefined });
    // Imported here, for most layers keep their blobs.
    const keeping = split === undefined ? undefined : (await import("../../layer/seekable/kept-split.ts")).SplitKeeper;
    using keeper = keeping && new keeping(applier, split!);
    const applied = await applyLayer(tar, applier, {
      ...(diffId !== undefined && { diffId }),
      ...(signal !== undefined && { signal }),
      ...(keeper !== undefined && { through: keeper }),
    });
    const report = withSkipped(applier.finish(), cloned);
    if (split !== undefined && (await keeper?.keep(tree, applied.size)) === true) {
      const { writeFacts } = await import("../overlay/layer-facts.ts");
      await writeFacts(dirname(split), { diffId: applied.diffId, implied: [], portable: false });
    }
    return { diffId: applied.diffId, report };
  }
}

/** What could not be kept of the parent's tree is missing from this one too. */
function withSkipped(report: ApplyReport, cloned: CloneReport | undefined): ApplyReport {
  if (cloned === undefined) return report;
  const { owners, devices, xattrs } = cloned.skipped;
  const { skipped } = report;
  return {
    ...report,
    skipped: { owners: skipped.owners + owners, devices: skipped.devices + devices, xattrs: skipped.xattrs + xattrs },
  };
}

async function doing<T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    signal?.throwIfAborted();
    throw toVarveError(error, what);
  }
}
