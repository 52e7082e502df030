/**
 * Sweeping: everything in the store that nothing needs, kind by kind. Each removal is one step under the digest's own lock, so a
 * death between any two of them leaves a sound store, and what runs beside it never waits for more than one removal.
 */
import type { Digest } from "../oci/digest.ts";
import type { ContentStore } from "./content.ts";
import type { Metadata } from "./database.ts";
import type { DiskStore } from "./disks/disk-store.ts";
import type { StepHook } from "./ingest-place.ts";
import type { LayerRecord, LayerRecords } from "./layer-records.ts";
import type { StoreLayout } from "./layout.ts";
import type { Leases } from "./leases.ts";
import type { StoreLocks } from "./locks.ts";
import type { Needed } from "./needed.ts";
import { findPartials, removePartial } from "./partials.ts";

export interface SweepContext {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly content: ContentStore;
  readonly disks: DiskStore;
  readonly metadata: Metadata;
  readonly layers: LayerRecords;
  readonly leases: Leases;
  readonly needed: Needed;
  /** Only tell what would go. */
  readonly dryRun: boolean;
  /** Blobs that would have gone, in a dry run. */
  readonly wouldGo: Set<Digest>;
  /** Partial data goes when nobody has touched it for so long, in milliseconds. */
  readonly partialsOlderThanMs: number;
  readonly now: number;
  readonly step: StepHook;
  readonly signal: AbortSignal | undefined;
}

export interface Swept {
  count: number;
  bytes: number;
}

/** Rows in one transaction: the write lock is held for some milliseconds at most. */
const RECORDS_AT_ONCE = 500;

/** Whole blobs that nothing needs. */
export async function sweepBlobs(context: SweepContext): Promise<Swept> {
  const { content, locks, needed, dryRun, signal } = context;
  const swept = { count: 0, bytes: 0 };
  for await (const { digest, size } of content.list({ odd: "skip" })) {
    signal?.throwIfAborted();
    if (needed.wasNeeded(digest)) continue;
    const gone = dryRun
      ? !locks.isHeld(digest) && !(await context.leases.isLeased(digest, context.partialsOlderThanMs))
      : await content.remove(digest, { unless: () => needed.isNeeded(digest) });
    if (!gone) continue;
    if (dryRun) context.wouldGo.add(digest);
    swept.count++;
    swept.bytes += size;
  }
  return swept;
}

/** Whether nobody has touched partial data for long. */
export function isStale({ partialsOlderThanMs, now }: SweepContext, { touchedAt }: { touchedAt: number }): boolean {
  // With no age at all everything goes, whatever the clocks of this and other machines say.
  return partialsOlderThanMs === 0 || now - touchedAt >= partialsOlderThanMs;
}

/** Partial blobs that nothing needs and nobody has touched for long, and what dead processes left of ended ones. */
export async function sweepPartials(context: SweepContext): Promise<Swept> {
  const { content, layout, locks, leases, needed, dryRun, signal, partialsOlderThanMs } = context;
  const swept = { count: 0, bytes: 0 };
  for await (const partial of findPartials(layout)) {
    signal?.throwIfAborted();
    const { digest, kind } = partial;
    if (kind === "unknown") continue;
    if (kind === "partial" && (!isStale(context, partial) || needed.wasNeeded(digest))) continue;
    const gone = dryRun
      ? !locks.isHeld(digest) && (kind === "leftover" || !(await leases.isLeased(digest, partialsOlderThanMs)))
      : kind === "leftover"
        ? await removePartial(locks, partial)
        : await content.removeIngest(digest, { unless: () => needed.isNeeded(digest) });
    if (!gone) continue;
    swept.count++;
    swept.bytes += partial.diskBytes;
  }
  return swept;
}

/** What is recorded of layers whose blob is not there, and is not to be for an image that has them unpacked. @returns how many */
export async function sweepRecords(context: SweepContext): Promise<number> {
  const { content, layers, leases, needed, dryRun, wouldGo, signal } = context;
  let count = 0;
  let batch: LayerRecord[] = [];
  const flush = async (): Promise<void> => {
    count += dryRun ? batch.length : await layers.deleteUnchanged(batch);
    batch = [];
  };
  for await (const record of layers.list()) {
    signal?.throwIfAborted();
    const there = (await content.stat(record.digest).catch(() => undefined)) !== undefined;
    if (there && !wouldGo.has(record.digest)) continue;
    const isKept = needed.wasNeeded(record.digest) || needed.broken.size > 0 || (await leases.isLeased(record.digest));
    if (record.discardedAt !== undefined && isKept) continue;
    batch.push(record);
    if (batch.length >= RECORDS_AT_ONCE) await flush();
  }
  await flush();
  return count;
}

/** Lock files that nobody holds. @returns how many */
export function sweepLocks({ locks, dryRun }: SweepContext): number {
  return locks.stale().filter((path) => dryRun || locks.removeStale(path)).length;
}
