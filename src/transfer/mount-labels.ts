/**
 * What is noted of a snapshot that `varve mount` has mounted: where, and in which life of which mount namespace; so that it can be told
 * later whether the mount can still be there.
 */
import { readFileSync, readlinkSync } from "node:fs";
import type { Labels } from "../store/snapshot-row.ts";
import { readMountInfo } from "../sys/mount-info.ts";

export const MOUNTED_AT = "varve/mounted-at";
const MOUNT_NAMESPACE = "varve/mount-namespace";
const BOOT = "varve/boot";

/** @param directory absolute, without symbolic links */
export function mountLabels(directory: string): Labels {
  return { [MOUNTED_AT]: directory, [MOUNT_NAMESPACE]: namespace(), [BOOT]: boot() };
}

/** Whether a snapshot was mounted for somebody to look at, and surely is no more; nobody could look at it again. */
export function isMountGone({ kind, labels }: { readonly kind: string; readonly labels: Labels }): boolean {
  const directory = labels[MOUNTED_AT];
  if (kind !== "view" || directory === undefined) return false;
  if (labels[BOOT] !== boot()) return true;
  // In another namespace nobody can tell.
  return labels[MOUNT_NAMESPACE] === namespace() && !isMounted(directory);
}

export function isMounted(directory: string): boolean {
  return readMountInfo().some(({ target }) => target === directory);
}

function namespace(): string {
  return readlinkSync("/proc/self/ns/mnt");
}

function boot(): string {
  return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
}
