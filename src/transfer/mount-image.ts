/**
 * The use cases "mount" and "umount": an image, or a snapshot, at a directory. What is mounted to be read is a view that goes with the
 * mount; what is mounted to be written is an active snapshot, which outlives it as soon as something was written.
 */
import { randomBytes } from "node:crypto";
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { toVarveError } from "../errors/from-system.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Platform } from "../oci/platform.ts";
import { withChanges } from "../snapshot/changes/with-changes.ts";
import { mountAll, mustBeDirectory, unmount } from "../snapshot/mount-all.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName, Mount } from "../snapshot/types.ts";
import type { SnapshotEntry } from "../store/snapshot-record.ts";
import { decodeName, systemName } from "../sys/path-bytes.ts";
import type { TransferContext } from "./context.ts";
import { findKey } from "./find-snapshot.ts";
import { markAt, mountedAt, mustNotBeMounted } from "./mounted.ts";
import { LABELS } from "./snapshot-labels.ts";
import { openSnapshots } from "./snapshotter.ts";
import { unpackHeld } from "./unpack-held.ts";

export interface MountOptions {
  /** Mount it to be written. Default false. */
  readonly rw?: boolean;
  /** Of the snapshot that is made; it then stays when it is unmounted, whatever it holds. Default: one of its own. */
  readonly key?: string;
  /** Of an image: as asked for. Default: the one that was pulled. */
  readonly platform?: Platform;
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
  mustBeDirectory(target);
  await mustBeFree(context, target);
  const found = await findKey(context, text);
  if (found !== undefined && found.kind !== "committed") return mountFound(context, found, target, options);
  const { snapshots, parent, image } = await parentOf(context, text, found, options);
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
  await remember(snapshots, key, target);
  return { source: text, directory: target, snapshot: key, driver: snapshots.driver.name, readOnly: !rw };
}

/**
 * Ends a mount that {@link mountImage} made, also one that the machine's restart has ended already.
 * @throws VarveError `SNAPSHOT_NOT_FOUND` when nothing of this store is mounted there, `MOUNT_FAILED` while it is in use
 */
export async function unmountImage(context: TransferContext, directory: string): Promise<UnmountResult> {
  const target = await placeOf(directory);
  const [mounted] = await mountedAt(context, target);
  if (mounted === undefined) {
    throw new VarveError("SNAPSHOT_NOT_FOUND", `nothing of the store ${context.store.root} is mounted at ${target}`, {
      hint: "check the path and the store (--root); umount(8) ends mounts of other programs",
    });
  }
  const { entry, state } = mounted;
  if (state === "covered") {
    throw new VarveError("MOUNT_FAILED", `something else is mounted at ${target}, over the snapshot ${entry.key}`, {
      hint: `end that first: umount ${target}`,
    });
  }
  if (state === "on top") await unmount(target);
  const driver = entry.driver as DriverName;
  const snapshots = await openSnapshots(context.store, driver);
  const kept = await isKept(context, snapshots, entry);
  if (kept) await snapshots.update(entry.key, {}, LABELS.pathsOfMount);
  else await snapshots.remove(entry.key);
  return { directory: target, snapshot: entry.key, driver, kept };
}

/** Whether a snapshot was only made for a mount that no restart has survived. */
export function isAbandonedView({ kind, labels }: Pick<SnapshotEntry, "kind" | "labels">): boolean {
  return kind === "view" && LABELS.isOwnKey(labels) && LABELS.isOfOlderBoot(labels);
}

async function mountFound(
  { store, signal }: TransferContext,
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
  const readOnly = !rw;
  // Two overlays on one upper directory spoil it; who comes second sees what the first has done.
  using _lock = await store.locks.snapshot(found.id, signal);
  mustNotBeMounted(await store.snapshots.find(driver, found.key));
  const mounts = await snapshots.mounts(found.key);
  await snapshots.update(found.key, LABELS.mountedAt(target), [...LABELS.pathsOfMount, LABELS.pathOfBoot]);
  try {
    await mountAll(readOnly && found.kind === "active" ? mounts.map(toRead) : mounts, target);
  } catch (error) {
    await snapshots.update(found.key, {}, LABELS.pathsOfMount).catch(() => undefined);
    throw error;
  }
  await remember(snapshots, found.key, target);
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
  { platform }: MountOptions,
): Promise<{ snapshots: Snapshots; parent: string | undefined; image?: string }> {
  if (found !== undefined) {
    return { snapshots: await openSnapshots(context.store, found.driver as DriverName), parent: found.key };
  }
  try {
    const { snapshots, chainId, name } = await unpackHeld(context, text, platform);
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

/** Says where it is mounted now, so that it can be told from what others may mount there. */
async function remember(snapshots: Snapshots, key: string, target: string): Promise<void> {
  await snapshots.update(key, LABELS.mountedAt(target, markAt(target)), LABELS.pathsOfMount);
}

/** One mount over another would hide it, and two umounts would be needed to get at what was there before. */
async function mustBeFree(context: TransferContext, target: string): Promise<void> {
  const [mounted] = await mountedAt(context, target);
  if (mounted?.state !== "on top") return;
  throw new VarveError("MOUNT_FAILED", `the snapshot ${mounted.entry.key} is mounted at ${target} already`, {
    hint: `end that first: varve umount ${target}`,
  });
}

/** As the kernel tells it: without symbolic links, but for the last component, which must be a directory itself. */
async function placeOf(directory: string): Promise<string> {
  const path = resolve(directory);
  if (path === "/") throw new VarveError("PATH_INVALID", "nothing can be mounted over the root of the system");
  try {
    const parent = await realpath(systemName(dirname(path)), { encoding: "buffer" });
    return join(decodeName(parent), basename(path));
  } catch (error) {
    throw toVarveError(error, `looking for ${directory}`);
  }
}
