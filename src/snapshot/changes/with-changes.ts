/** What a snapshot changed of its parent, whatever driver holds it. */
import {
  changesOfTree,
  changesOfTrees,
  changesOfUpper,
  type Change,
  type Changes,
  type Tree,
} from "../../layer/diff/changes.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { SnapshotEntry } from "../../store/snapshot-records.ts";
import type { Store } from "../../store/store.ts";
import type { Snapshots } from "../service.ts";
import type { Mount, SnapshotRecord } from "../types.ts";
import { withMounted } from "../with-mounted.ts";
import { packedTree } from "./packed-trees.ts";
import { shownBy } from "./shown-directory.ts";

export interface WithChangesOptions {
  readonly signal?: AbortSignal;
}

interface Sources {
  readonly store: Store;
  readonly snapshots: Snapshots;
}

/**
 * Calls `work` with the changes that an active snapshot holds at this moment, or that a committed one holds for ever; a view has none.
 * Nobody commits or removes the snapshot meanwhile; who writes to an active one must stop for a result that can be relied on.
 *
 * @throws VarveError `SNAPSHOT_NOT_FOUND`, `MOUNT_FAILED` where an overlay of several parents cannot be mounted; reading the changes
 * throws as `changesOfUpper`
 */
export async function withChanges<T>(
  sources: Sources,
  key: string,
  work: (changes: Changes, found: SnapshotEntry) => Promise<T>,
  options: WithChangesOptions = {},
): Promise<T> {
  const { store, snapshots } = sources;
  const { signal } = options;
  const { name } = snapshots.driver;
  const { id } = await store.snapshots.find(name, key);
  using _lock = await store.locks.snapshot(id, signal);
  const found = await store.snapshots.find(name, key);
  // It was removed before the lock was had, and there is another of its name.
  if (found.id !== id) throw new VarveError("SNAPSHOT_NOT_FOUND", `there is no snapshot ${key} any more`);
  const [, ...parents] = await store.snapshots.chain(found.id);
  const use = (changes: Changes): Promise<T> => work(changes, found);
  if (found.kind === "view") return use(nothing());
  if (parents.length === 0 && found.kind === "active")
    return use(changesOfTree(await activeTree(sources, found), options));
  switch (name) {
    case "erofs":
      return use(await packedChanges(sources, found, parents, options));
    case "overlay":
      return overlayChanges(sources, found, parents, options, use);
    case "copy":
      return use(await copiedChanges(sources, found, parents, options));
  }
}

async function activeTree({ snapshots }: Sources, found: SnapshotRecord): Promise<string> {
  return shownBy(await snapshots.driver.mounts(found, [])).directory;
}

async function packedChanges(
  { store, snapshots }: Sources,
  found: SnapshotRecord,
  parents: readonly SnapshotRecord[],
  options: WithChangesOptions,
): Promise<Changes> {
  if (parents.length === 0) return changesOfTree(await packedTree(store.root, [found]), options);
  const lower = await packedTree(store.root, parents);
  if (found.kind === "committed") {
    return changesOfTrees(lower, await packedTree(store.root, [found, ...parents]), options);
  }
  const { directory, userXattr } = shownBy(await snapshots.driver.mounts(found, parents));
  return changesOfUpper(directory, { ...options, lower, userXattr });
}

async function overlayChanges<T>(
  { snapshots }: Sources,
  found: SnapshotRecord,
  parents: readonly SnapshotRecord[],
  options: WithChangesOptions,
  use: (changes: Changes) => Promise<T>,
): Promise<T> {
  const { driver } = snapshots;
  const shown = shownBy(
    found.kind === "active" ? await driver.mounts(found, parents) : await viewOf(snapshots, found, [found, ...parents]),
  );
  if (parents.length === 0) return use(changesOfTree(shown.directory, options));
  return withTree(await viewOf(snapshots, found, parents), (lower) => {
    return use(changesOfUpper(shown.directory, { ...options, lower, userXattr: shown.userXattr }));
  });
}

async function copiedChanges(
  { snapshots }: Sources,
  found: SnapshotRecord,
  parents: readonly SnapshotRecord[],
  options: WithChangesOptions,
): Promise<Changes> {
  const upper = shownBy(await viewOf(snapshots, found, [found, ...parents])).directory;
  if (parents.length === 0) return changesOfTree(upper, options);
  return changesOfTrees(shownBy(await viewOf(snapshots, found, parents)).directory, upper, options);
}

/** What a view of these snapshots would be mounted from. There is no such view, nor does one have to be made. */
function viewOf(
  { driver }: Snapshots,
  found: SnapshotRecord,
  chain: readonly SnapshotRecord[],
): Promise<readonly Mount[]> {
  return driver.mounts({ ...found, kind: "view" }, chain);
}

/** A single directory need not be mounted to be read. */
async function withTree<T>(mounts: readonly Mount[], work: (tree: Tree & { path: string }) => Promise<T>): Promise<T> {
  const { directory, isOverlay } = shownBy(mounts);
  return isOverlay ? withMounted(mounts, (path) => work({ path })) : work({ path: directory });
}

async function* nothing(): AsyncGenerator<Change> {
  // A view holds what its parent holds.
}
