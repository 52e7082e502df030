/** The use cases of `varve snapshots`: the snapshot service for scripts, over whatever drivers the store's snapshots have. */
import { VarveError } from "../errors/varve-error.ts";
import type { Platform } from "../oci/platform.ts";
import { probeDrivers, type DriverReport } from "../snapshot/probe.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName, Mount, SnapshotInfo, SnapshotKind, Usage } from "../snapshot/types.ts";
import type { SnapshotEntry } from "../store/snapshot-record.ts";
import type { TransferContext } from "./context.ts";
import { findKey } from "./find-snapshot.ts";
import { mustNotBeMounted } from "./mounted.ts";
import { LABELS } from "./snapshot-labels.ts";
import { openSnapshots } from "./snapshotter.ts";
import { openAny, unpackHeld } from "./unpack-held.ts";

export interface SnapshotRow {
  /** Of a committed snapshot its name. */
  readonly key: string;
  readonly kind: SnapshotKind;
  readonly driver: DriverName;
  readonly parent: string | null;
  /** Without its parents; of those that are not committed null, for finding out means to look at every file. */
  readonly bytes: number | null;
  readonly inodes: number | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: string;
  readonly updatedAt: string;
}

export interface PreparedSnapshot {
  readonly key: string;
  readonly kind: SnapshotKind;
  readonly driver: DriverName;
  readonly parent: string | null;
  readonly mounts: readonly Mount[];
}

export interface PrepareSnapshotOptions {
  /** Only to be read. Default false. */
  readonly view?: boolean;
  /** Of the image that it stands on. Default: the one that was pulled. */
  readonly platform?: Platform;
}

/** All snapshots, the oldest first; of the context's driver where it names one. */
export async function listSnapshots({ store, snapshotter }: TransferContext): Promise<SnapshotRow[]> {
  const { choice = "auto" } = snapshotter ?? {};
  const rows: SnapshotRow[] = [];
  for await (const entry of store.snapshots.walk([], choice === "auto" || choice === "none" ? undefined : choice)) {
    rows.push(rowOf(entry));
  }
  return rows;
}

/** What each driver needs and whether it works in this store. */
export function listDrivers({ store }: TransferContext): Promise<DriverReport[]> {
  return probeDrivers(store.root);
}

/**
 * A new snapshot on a committed one, on an image of the store (which is unpacked first when it has to be), or on nothing.
 * @throws VarveError `SNAPSHOT_EXISTS`, `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE`, `DRIVER_UNAVAILABLE` ...
 */
export async function prepareSnapshot(
  context: TransferContext,
  key: string,
  parentName: string | undefined,
  { view = false, platform }: PrepareSnapshotOptions = {},
): Promise<PreparedSnapshot> {
  const { snapshots, parent, image } = await parentFor(context, parentName, platform);
  const options = { labels: image === undefined ? {} : LABELS.image(image), signal: context.signal };
  const mounts = await (view ? snapshots.view(key, parent, options) : snapshots.prepare(key, parent, options));
  const driver = snapshots.driver.name;
  return { key, kind: view ? "view" : "active", driver, parent: parent ?? null, mounts };
}

/**
 * Commits an active snapshot; with a parent that is the rebase.
 * @throws VarveError as `Snapshots.commit`; `SNAPSHOT_STATE` also while it is mounted
 */
export async function commitSnapshot(
  context: TransferContext,
  name: string,
  key: string,
  { parent }: { readonly parent?: string } = {},
): Promise<SnapshotRow> {
  const { snapshots, entry } = await mustFind(context, key);
  // What is written to it later would change what never changes.
  mustNotBeMounted(entry);
  const { signal } = context;
  await snapshots.commit(name, key, { signal, ready: true, ...(parent !== undefined && { parent }) });
  return rowOf(await context.store.snapshots.find(snapshots.driver.name, name));
}

/** @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE` of a committed one */
export async function snapshotMounts(context: TransferContext, key: string): Promise<readonly Mount[]> {
  return (await mustFind(context, key)).snapshots.mounts(key);
}

/** @throws VarveError `SNAPSHOT_NOT_FOUND` */
export async function snapshotUsage(context: TransferContext, key: string): Promise<Usage & { readonly key: string }> {
  return { key, ...(await (await mustFind(context, key)).snapshots.usage(key)) };
}

/** @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE` when others stand on one or it is mounted; those before it are gone */
export async function removeSnapshots(context: TransferContext, keys: readonly string[]): Promise<readonly string[]> {
  for (const key of keys) {
    const { snapshots, entry } = await mustFind(context, key);
    mustNotBeMounted(entry);
    await snapshots.remove(key, { signal: context.signal });
  }
  return keys;
}

async function parentFor(
  context: TransferContext,
  name: string | undefined,
  platform: Platform | undefined,
): Promise<{ snapshots: Snapshots; parent: SnapshotInfo["parent"]; image?: string }> {
  if (name === undefined) return { snapshots: await openAny(context), parent: undefined };
  const found = await findKey(context, name);
  if (found !== undefined) {
    return { snapshots: await openSnapshots(context.store, found.driver as DriverName), parent: name };
  }
  const { snapshots, chainId, name: image } = await unpackHeld(context, name, platform);
  return { snapshots, parent: chainId, image };
}

async function mustFind(
  context: TransferContext,
  key: string,
): Promise<{ snapshots: Snapshots; entry: SnapshotEntry }> {
  const entry = await findKey(context, key);
  if (entry === undefined) throw new VarveError("SNAPSHOT_NOT_FOUND", `there is no snapshot ${key}`);
  return { snapshots: await openSnapshots(context.store, entry.driver as DriverName), entry };
}

function rowOf(entry: SnapshotEntry): SnapshotRow {
  const { key, kind, driver, parentKey, bytes, inodes, labels, createdAt, updatedAt } = entry;
  const isCommitted = kind === "committed";
  return {
    key,
    kind,
    driver: driver as DriverName,
    parent: parentKey ?? null,
    bytes: isCommitted ? bytes : null,
    inodes: isCommitted ? inodes : null,
    labels,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
