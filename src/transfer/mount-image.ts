/**
 * The use cases "mount" and "umount": an image, or a snapshot, at a directory. What is mounted to be read is a view that goes with the
 * mount; what is mounted to be written is an active snapshot, which outlives it as soon as something was written.
 */
import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { withChanges } from "../snapshot/changes/with-changes.ts";
import { mountAll, unmount } from "../snapshot/mount-all.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName, Mount } from "../snapshot/types.ts";
import type { SnapshotEntry } from "../store/snapshot-record.ts";
import { readMountInfo } from "../sys/mount-info.ts";
import type { TransferContext } from "./context.ts";
import { findKey } from "./find-snapshot.ts";
import { LABELS } from "./snapshot-labels.ts";
import { openSnapshots } from "./snapshotter.ts";
import { unpackHeld } from "./unpack-held.ts";

export interface MountOptions {
  /** Mount it to be written. Default false. */
  readonly rw?: boolean;
  /** Of the snapshot that is made; it then stays when it is unmounted, whatever it holds. Default: one of its own. */
  readonly key?: string;
}

export interface MountResult {
  /** As it was asked for. */
  readonly source: string;
  readonly directory: string;
  readonly snapshot: string;
  readonly driver: DriverName;
  readonly readOnly: boolean;
}

export interface UnmountResult {
  readonly directory: string;
  readonly snapshot: string;
  readonly driver: DriverName;
  /** Whether the snapshot is still there: it holds what was written, or was named by its user. */
  readonly kept: boolean;
}

/**
 * @param text an image of the store, which is unpacked first when it has to be, or the key of an active snapshot or view
 * @throws VarveError `IMAGE_NOT_FOUND`, `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_EXISTS`, `DRIVER_UNAVAILABLE`, `FILE_NOT_FOUND` when there is no such
 * directory, `PATH_INVALID`, `MOUNT_FAILED` ...
 */
export async function mountImage(
  context: TransferContext,
  text: string,
  directory: string,
  options: MountOptions = {},
): Promise<MountResult> {
  const target = await placeOf(directory);
  const found = await findKey(context, text);
  if (found !== undefined && found.kind !== "committed") return mountFound(context, found, target, options);
  const { snapshots, parent, image } = await parentOf(context, text, found);
  const { rw = false, key = `mount-${randomBytes(6).toString("hex")}` } = options;
  const labels = {
    ...LABELS.mountedAt(target),
    ...(image !== undefined && LABELS.image(image)),
    ...(options.key === undefined && LABELS.ownKey()),
  };
  const mounts = await (rw ? snapshots.prepare(key, parent, { labels }) : snapshots.view(key, parent, { labels }));
  try {
    await mountAll(mounts, target);
  } catch (error) {
    await snapshots.remove(key).catch(() => undefined);
    throw error;
  }
  return { source: text, directory: target, snapshot: key, driver: snapshots.driver.name, readOnly: !rw };
}

/**
 * Ends a mount that {@link mountImage} made, also one that the machine's restart has ended already.
 * @throws VarveError `SNAPSHOT_NOT_FOUND` when nothing of this store is mounted there, `MOUNT_FAILED` while it is in use
 */
export async function unmountImage(context: TransferContext, directory: string): Promise<UnmountResult> {
  const target = await placeOf(directory);
  const found = await findMounted(context, target);
  if (found === undefined) {
    throw new VarveError("SNAPSHOT_NOT_FOUND", `nothing of the store ${context.store.root} is mounted at ${target}`, {
      hint: "check the path and the store (--root); umount(8) ends mounts of other programs",
    });
  }
  if (isMounted(target)) await unmount(target);
  const driver = found.driver as DriverName;
  const snapshots = await openSnapshots(context.store, driver);
  const kept = await isKept(context, snapshots, found);
  if (kept) await snapshots.update(found.key, {}, [LABELS.pathOfMountedAt]);
  else await snapshots.remove(found.key);
  return { directory: target, snapshot: found.key, driver, kept };
}

/** Whether a snapshot was only made for a mount that no restart has survived. */
export function isAbandonedView({ kind, labels }: Pick<SnapshotEntry, "kind" | "labels">): boolean {
  return kind === "view" && LABELS.isOwnKey(labels) && LABELS.isOfOlderBoot(labels);
}

async function mountFound(
  { store }: TransferContext,
  found: SnapshotEntry,
  target: string,
  { rw = false, key }: MountOptions,
): Promise<MountResult> {
  if (key !== undefined) {
    throw new VarveError("SNAPSHOT_INVALID", `${found.key} is a snapshot already, and needs no other key`);
  }
  if (rw && found.kind === "view") {
    throw new VarveError("SNAPSHOT_STATE", `${found.key} is a view and can only be read`, {
      hint: "varve snapshots prepare KEY PARENT makes one that can be written",
    });
  }
  const driver = found.driver as DriverName;
  const snapshots = await openSnapshots(store, driver);
  const mounts = await snapshots.mounts(found.key);
  const readOnly = !rw;
  await mountAll(readOnly && found.kind === "active" ? mounts.map(toRead) : mounts, target);
  await snapshots.update(found.key, LABELS.mountedAt(target), LABELS.pathsOfMount);
  return { source: found.key, directory: target, snapshot: found.key, driver, readOnly };
}

function toRead(mount: Mount): Mount {
  return { ...mount, options: [...mount.options.filter((option) => option !== "rw"), "ro"] };
}

/** What the new snapshot stands on. */
async function parentOf(
  context: TransferContext,
  text: string,
  found: SnapshotEntry | undefined,
): Promise<{ snapshots: Snapshots; parent: string | undefined; image?: string }> {
  if (found !== undefined) {
    return { snapshots: await openSnapshots(context.store, found.driver as DriverName), parent: found.key };
  }
  try {
    const { snapshots, chainId, name } = await unpackHeld(context, text);
    return { snapshots, parent: chainId, image: name };
  } catch (error) {
    if (!isVarveError(error, "IMAGE_NOT_FOUND")) throw error;
    throw new VarveError("IMAGE_NOT_FOUND", `there is neither an image nor a snapshot ${JSON.stringify(text)}`, {
      cause: error,
      hint: `varve pull ${text} gets it; varve images and varve snapshots ls list what there is`,
    });
  }
}

async function isKept({ store }: TransferContext, snapshots: Snapshots, found: SnapshotEntry): Promise<boolean> {
  if (!LABELS.isOwnKey(found.labels)) return true;
  if (found.kind === "view") return false;
  return withChanges({ store, snapshots }, found.key, async (changes) => {
    for await (const { kind } of changes) if (kind !== "parent") return true;
    return false;
  });
}

async function findMounted({ store }: TransferContext, target: string): Promise<SnapshotEntry | undefined> {
  let last: SnapshotEntry | undefined;
  // The last one lies on top.
  for await (const entry of store.snapshots.walk([{ labels: LABELS.mountedAt(target) }])) last = entry;
  return last;
}

function isMounted(target: string): boolean {
  return readMountInfo().some((mount) => mount.target === target);
}

/** As the kernel tells it: without symbolic links, but for the last component, which must be a directory itself. */
async function placeOf(directory: string): Promise<string> {
  const path = resolve(directory);
  if (path === "/") throw new VarveError("PATH_INVALID", "nothing can be mounted over the root of the system");
  try {
    return join(await realpath(dirname(path)), basename(path));
  } catch (error) {
    throw toVarveError(error, `looking for ${directory}`);
  }
}
