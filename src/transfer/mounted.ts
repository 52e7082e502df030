/**
 * Which snapshots are mounted: what their labels say, held to what the kernel says. Mounts go without varve being asked, by umount(8) or a
 * restart, and others take their places, so a label alone proves nothing.
 */
import { VarveError } from "../errors/varve-error.ts";
import { digestOf } from "../oci/digest.ts";
import type { SnapshotEntry } from "../store/snapshot-record.ts";
import { readMountInfo, type MountInfo } from "../sys/mount-info.ts";
import type { TransferContext } from "./context.ts";
import { LABELS } from "./snapshot-labels.ts";

/** `covered`: something else is mounted over it. `lost`: it is not there any more, as far as this process can see. */
export type MountState = "on top" | "covered" | "lost";

export interface MountedSnapshot {
  readonly entry: SnapshotEntry;
  readonly state: MountState;
}

/** Tells what is mounted at a directory just now from what may be mounted there later; undefined when nothing is. */
export function markAt(target: string): string | undefined {
  const mount = topmost(mountsAt(target));
  return mount && markOf(mount);
}

/** Snapshots that say that they are mounted at a directory, the one that an umount would mean first. */
export async function mountedAt({ store }: TransferContext, target: string): Promise<MountedSnapshot[]> {
  const found: MountedSnapshot[] = [];
  const mounts = mountsAt(target);
  for await (const entry of store.snapshots.walk([{ labels: LABELS.mountedAt(target) }])) {
    found.unshift({ entry, state: stateOf(entry, mounts) });
  }
  const order: readonly MountState[] = ["on top", "covered", "lost"];
  return found.toSorted((a, b) => order.indexOf(a.state) - order.indexOf(b.state));
}

/** @throws VarveError `SNAPSHOT_STATE` when it is mounted */
export function mustNotBeMounted(entry: SnapshotEntry): void {
  const target = LABELS.placeOf(entry.labels);
  if (target === undefined || stateOf(entry, mountsAt(target)) === "lost") return;
  throw new VarveError("SNAPSHOT_STATE", `the snapshot ${entry.key} is mounted at ${target}`, {
    hint: `end that first: varve umount ${target}`,
  });
}

function mountsAt(target: string): MountInfo[] {
  return readMountInfo().filter((mount) => mount.target === target);
}

/** Each is mounted on the root of the one below it. */
function topmost(mounts: readonly MountInfo[]): MountInfo | undefined {
  return mounts.find(({ id }) => !mounts.some(({ parent }) => parent === id));
}

function stateOf({ labels }: SnapshotEntry, mounts: readonly MountInfo[]): MountState {
  const mark = LABELS.markOf(labels);
  // Whoever mounted it died before it could say more.
  const isIt = (mount: MountInfo): boolean => (mark === undefined ? isLikely(mount) : markOf(mount) === mark);
  const top = topmost(mounts);
  if (top !== undefined && isIt(top)) return "on top";
  return mounts.some(isIt) ? "covered" : "lost";
}

/** Numbers of devices are given again; sources and upper directories are in folders that are not. */
function markOf({ type, device, root, source, superOptions }: MountInfo): string {
  const upper = superOptions.find((option) => option.startsWith("upperdir=")) ?? "";
  return digestOf(JSON.stringify([type, device, root, source, upper]));
}

function isLikely({ type, root }: MountInfo): boolean {
  return type === "erofs" || type === "overlay" || root.includes("/snapshots/");
}
