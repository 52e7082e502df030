/** What is left of processes that died, folders that nothing names, and unpacked layers that no snapshot needs (see sweep.ts). */
import { renameSync } from "node:fs";
import { join } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError } from "../errors/varve-error.ts";
import { isDigest, type Digest } from "../oci/digest.ts";
import { imageChanges } from "../store/images.ts";
import type { Connection } from "../store/connection.ts";
import { ALGORITHMS } from "../store/layout.ts";
import { removeTree } from "../sys/remove-tree.ts";
import { folderIds, goneFolders, goneName, namesIn, removeFolder } from "./folder.ts";
import { isStaged } from "./staged.ts";
import type { SweepContext } from "./sweep-context.ts";
import { addSwept, bytesOf, type SweptCount } from "./sweep-count.ts";
import type { DriverName, SnapshotRecord } from "./types.ts";

/** The one driver that holds layers apart from snapshots. */
const LAYERS_OF: DriverName = "erofs";
/** What is mounted in a folder keeps it. */
const IN_USE: ReadonlySet<string | undefined> = new Set(["EBUSY", "EXDEV"]);

/** Staged layers of processes that are dead, and what the caller has given up. */
export async function sweepStaged(context: SweepContext): Promise<SweptCount> {
  const { store, stepsOf, isAbandoned, signal } = context;
  const swept = { count: 0, bytes: 0 };
  for await (const snapshot of store.snapshots.walk([{ kind: "active" }, { kind: "view" }])) {
    signal?.throwIfAborted();
    if (!stepsOf.has(snapshot.driver)) continue;
    const isLeft = isStaged(snapshot) ? !store.locks.isStageHeld(snapshot.id) : await isAbandoned(snapshot);
    if (!isLeft) continue;
    const bytes = await remove(context, snapshot);
    if (bytes !== undefined) addSwept(swept, { count: 1, bytes });
  }
  return swept;
}

/** What a committed snapshot was made of, when its process died before it cleared that away. */
export async function sweepCommitted({ store, stepsOf, dryRun, signal }: SweepContext): Promise<void> {
  if (dryRun) return;
  for await (const snapshot of store.snapshots.walk([{ kind: "committed" }])) {
    signal?.throwIfAborted();
    using lock = store.locks.trySnapshot(snapshot.id);
    if (lock !== undefined) await stepsOf.get(snapshot.driver)?.tidy(snapshot);
  }
}

async function remove(context: SweepContext, { id, key, driver }: SnapshotRecord): Promise<number | undefined> {
  const { store, layout, stepsOf, dryRun, wouldGo } = context;
  const bytes = await bytesOf(layout.snapshot(id));
  if (!dryRun) {
    using lock = store.locks.trySnapshot(id);
    if (lock === undefined) return undefined;
    try {
      if ((await stepsOf.get(driver)?.takeOutUnless(key, id, () => false)) === undefined) return undefined;
    } catch (error) {
      if (isVarveError(error, "SNAPSHOT_NOT_FOUND") || isVarveError(error, "SNAPSHOT_STATE")) return undefined;
      throw error;
    }
  }
  wouldGo.add(id);
  return bytes;
}

/** Folders of snapshots that are none, and what was about to be removed when its remover died. */
export async function sweepFolders({ store, layout, dryRun, signal }: SweepContext): Promise<SweptCount> {
  const { snapshots, locks } = store;
  const swept = { count: 0, bytes: 0 };
  for (const path of await goneFolders(layout.snapshots)) {
    signal?.throwIfAborted();
    await sweepOne(swept, path, dryRun, () => removeTree(path));
  }
  for (const id of await folderIds(layout.snapshots)) {
    signal?.throwIfAborted();
    const path = layout.snapshot(id);
    if (await snapshots.needsFolder(id)) continue;
    if (dryRun && locks.isSnapshotHeld(id)) continue;
    using lock = dryRun ? undefined : locks.trySnapshot(id);
    // Asked again: the row may have come, and the lock been let go, since.
    if ((lock === undefined && !dryRun) || (await snapshots.needsFolder(id))) continue;
    await sweepOne(swept, path, dryRun, () => removeFolder(path));
  }
  return swept;
}

async function sweepOne(swept: SweptCount, path: string, dryRun: boolean, remove: () => Promise<void>): Promise<void> {
  const bytes = await bytesOf(path);
  try {
    if (!dryRun) await remove();
    addSwept(swept, { count: 1, bytes });
  } catch (error) {
    const { code, cause } = error as NodeJS.ErrnoException;
    if (IN_USE.has(code) || IN_USE.has((cause as NodeJS.ErrnoException | undefined)?.code)) return;
    throw toVarveError(error, `removing ${path}`);
  }
}

/** Layers that are held apart from snapshots. */
export async function sweepLayers(context: SweepContext): Promise<SweptCount> {
  const { layout, wanted, dryRun, signal } = context;
  const swept = { count: 0, bytes: 0 };
  for (const algorithm of ALGORITHMS) {
    const directory = join(layout.layers, algorithm);
    for (const path of await goneFolders(directory)) await sweepOne(swept, path, dryRun, () => removeTree(path));
    for (const name of await namesIn(directory)) {
      signal?.throwIfAborted();
      const diffId = `${algorithm}:${name}`;
      if (!isDigest(diffId) || wanted.broken.size > 0) continue;
      const bytes = await bytesOf(layout.layer(diffId));
      const goes = dryRun ? await wouldGo(context, diffId) : await drop(context, diffId);
      if (goes) addSwept(swept, { count: 1, bytes });
    }
  }
  return swept;
}

async function wouldGo(context: SweepContext, diffId: Digest): Promise<boolean> {
  const { store, wanted, wouldGo, unfinishedMs } = context;
  for (const id of await store.snapshots.idsOfLayer(LAYERS_OF, diffId)) if (!wouldGo.has(id)) return false;
  return !(await wanted.isOnlyCopy(diffId)) && !(await store.leases.isLeased(diffId, unfinishedMs));
}

async function drop({ store, layout, wanted, unfinishedMs }: SweepContext, diffId: Digest): Promise<boolean> {
  const path = layout.layer(diffId);
  const gone = goneName(path);
  await removeTree(gone);
  for (;;) {
    if (await wanted.isOnlyCopy(diffId)) return false;
    let isStale = false;
    const unless = (connection: Connection): boolean => {
      isStale = imageChanges(connection) !== wanted.changes;
      return isStale || store.leases.isLeasedIn(connection, diffId, unfinishedMs);
    };
    const dropped = await store.snapshots.dropLayer(LAYERS_OF, diffId, unless, () => moveAway(path, gone));
    if (!isStale) {
      if (dropped) await removeTree(gone);
      return dropped;
    }
    await wanted.update();
    if (wanted.broken.size > 0) return false;
  }
}

function moveAway(path: string, gone: string): boolean {
  try {
    renameSync(path, gone);
    return true;
  } catch (error) {
    // Another collection was faster.
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
    throw error;
  }
}
