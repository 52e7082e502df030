/**
 * Sweeping disks, as sweep.ts does blobs: each removal is one step under the key's own lock. Partial disks go by their age; what dead processes
 * left of ended ones, staged files without their process, and what lies beside a disk that is no more, go at any time.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import { trashedKey } from "../ingest-folder.ts";
import { ALGORITHMS, digestOfKey } from "../layout.ts";
import { isStale, type SweepContext, type Swept } from "../sweep.ts";
import { DiskRecords } from "./disk-records.ts";
import { measure } from "./measure.ts";
import { namesIn } from "./names-in.ts";
import { lockId, stagedId } from "./staged-disk.ts";

const INDEX = ".index";

/** Whole disks that nothing needs, with what was derived from them. */
export async function sweepDisks(context: SweepContext): Promise<Swept> {
  const { disks, locks, leases, needed, dryRun, layout, partialsOlderThanMs, signal } = context;
  const swept = { count: 0, bytes: 0 };
  for await (const { key, allocatedBytes } of disks.list()) {
    signal?.throwIfAborted();
    if (needed.wasDiskNeeded(key)) continue;
    const index = await measure(layout.diskIndex(key));
    const gone = dryRun
      ? !locks.isDiskHeld(key) && !(await leases.isLeased(key, partialsOlderThanMs))
      : await disks.remove(key, { unless: () => needed.isDiskNeeded(key) });
    if (!gone) continue;
    swept.count++;
    swept.bytes += allocatedBytes + index.bytes;
  }
  await sweepIndexes(context);
  return swept;
}

/** What lies in `disks/partial` and is of no use to anybody, or only to someone who has not come for long. */
export async function sweepPartialDisks(context: SweepContext): Promise<Swept> {
  const { layout, signal } = context;
  const swept = { count: 0, bytes: 0 };
  for (const name of await namesIn(layout.partialDisks)) {
    signal?.throwIfAborted();
    const path = join(layout.partialDisks, name);
    const { bytes, touchedAt } = await measure(path);
    if (!(await sweepPartial(context, name, { path, touchedAt }))) continue;
    swept.count++;
    swept.bytes += bytes;
  }
  return swept;
}

/** Rows of disks that are not there. @returns how many disks they were of */
export async function sweepDiskRecords(context: SweepContext): Promise<number> {
  const { metadata, disks, locks, dryRun, now } = context;
  const records = new DiskRecords(metadata, () => now);
  let count = 0;
  for (const key of await records.keys()) {
    if (await isThere(context, key)) continue;
    // Who commits a disk has its lock while the rows are there and the file is not yet.
    const lock = dryRun ? undefined : locks.tryDisk(key);
    if (lock === undefined && (!dryRun || locks.isDiskHeld(key))) continue;
    try {
      if ((await disks.stat(key).catch(() => undefined)) !== undefined) continue;
      if (!dryRun) await records.delete(key);
      count++;
    } finally {
      lock?.unlock({ remove: true });
    }
  }
  return count;
}

async function sweepPartial(
  context: SweepContext,
  name: string,
  { path, touchedAt }: { path: string; touchedAt: number },
): Promise<boolean> {
  const { disks, locks, leases, needed, dryRun, partialsOlderThanMs } = context;
  const staged = stagedId(name);
  // Its process makes it anew under another name, so that nobody can come for it any more.
  if (staged !== undefined) return !locks.isStageHeld(lockId(staged)) && remove(path, dryRun);
  const trashed = trashedKey(name);
  const key = digestOfKey(trashed ?? name);
  if (key === undefined) return false;
  if (trashed !== undefined || (await isThere(context, key))) return removeLocked(context, key, path);
  if (!isStale(context, { touchedAt }) || needed.wasDiskNeeded(key)) return false;
  if (dryRun) return !locks.isDiskHeld(key) && !(await leases.isLeased(key, partialsOlderThanMs));
  return disks.removePartial(key, { unless: () => needed.isDiskNeeded(key) });
}

/** Folders of what was derived from disks that are gone. */
async function sweepIndexes(context: SweepContext): Promise<void> {
  const { layout, dryRun } = context;
  if (dryRun) return;
  for (const algorithm of ALGORITHMS) {
    for (const name of await namesIn(layout.diskDirectory(algorithm))) {
      const key = name.endsWith(INDEX) ? `${algorithm}:${name.slice(0, -INDEX.length)}` : "";
      if (!isDigest(key) || (await isThere(context, key))) continue;
      await removeLocked(context, key, layout.diskIndex(key), () => isThere(context, key));
    }
  }
}

async function isThere({ disks }: SweepContext, key: Digest): Promise<boolean> {
  // What is no file is somebody's mistake, and for fsck to tell of.
  return (await disks.stat(key).catch(() => "odd")) !== undefined;
}

/** Removes what nobody who works on the key would miss, unless somebody does. @returns whether it is gone, or would be */
async function removeLocked(
  { locks, dryRun }: SweepContext,
  key: Digest,
  path: string,
  unless?: () => Promise<boolean>,
): Promise<boolean> {
  if (dryRun) return !locks.isDiskHeld(key);
  const lock = locks.tryDisk(key);
  if (lock === undefined) return false;
  try {
    return (await unless?.()) !== true && (await remove(path, false));
  } finally {
    lock.unlock({ remove: true });
  }
}

async function remove(path: string, dryRun: boolean): Promise<boolean> {
  try {
    if (!dryRun) await rm(path, { recursive: true, force: true });
    return true;
  } catch (error) {
    throw toVarveError(error, "removing what is left of a disk");
  }
}
