/**
 * Collecting garbage: mark what is needed, sweep the rest. It runs beside pulls and other collections; it never waits for a
 * transfer and none waits for it (see needed.ts and sweep.ts). It is crash-safe because each removal is on its own and in this
 * order: what protects nothing any more (leases), disks, blobs, what is known of them (records), what is left over.
 */
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import type { StepHook } from "./ingest-place.ts";
import { temporaryIndex } from "./image-index.ts";
import type { Leases } from "./leases.ts";
import { Needed } from "./needed.ts";
import type { RemovalContext } from "./unreferenced.ts";
import { sweepDiskRecords, sweepDisks, sweepPartialDisks } from "./disks/sweep-disks.ts";
import { sweepBlobs, sweepLocks, sweepPartials, sweepRecords, type SweepContext, type Swept } from "./sweep.ts";

const WEEK_MS = 7 * 24 * 60 * 60 * 1000;

export interface CollectOptions {
  /**
   * Partial data, and what pulls left that were cut off, goes when it is older than this, in milliseconds, and no image and no
   * running process needs it. Default: a week. 0 takes all of it.
   */
  readonly partialsOlderThanMs?: number;
  /** Only tell what would go, and change nothing. Default false. */
  readonly dryRun?: boolean;
  /** In a dry run: images whose names would be taken out before. Default: none. */
  readonly goneNames?: ReadonlySet<string>;
  readonly signal?: AbortSignal;
}

export interface Collection {
  /** Whole blobs that nothing needed. */
  readonly blobs: Readonly<Swept>;
  /** Whole disks of machines that nothing needed, and the disk space that they took. */
  readonly disks: Readonly<Swept>;
  /** Partial blobs, and the disk space that they took. */
  readonly partials: Readonly<Swept>;
  /** Partial disks, and files of imports that died, and the disk space that they took. */
  readonly partialDisks: Readonly<Swept>;
  /** Rows of what is known of layers and disks. */
  readonly records: number;
  readonly leases: number;
  /** Lock files of processes that died. */
  readonly locks: number;
  /** Temporary files of processes that died. */
  readonly temporary: number;
  readonly freedBytes: number;
  /**
   * Images whose documents are missing or damaged. Nobody can say which blobs and disks are theirs, so while there are any, none is
   * removed, whole or partial.
   */
  readonly broken: readonly { readonly image: string; readonly reason: string }[];
}

export interface CollectContext extends RemovalContext {
  readonly leases: Leases;
  readonly now: () => number;
  readonly step: StepHook;
}

/** @throws VarveError `STORE_READ_ONLY` unless it is a dry run, `INTERRUPTED`, `IO`, `PERMISSION` */
export async function collectGarbage(context: CollectContext, options: CollectOptions = {}): Promise<Collection> {
  const { dryRun = false, goneNames, partialsOlderThanMs = WEEK_MS, signal } = options;
  if (!dryRun) await context.metadata.writable();
  const leases = await (dryRun ? context.leases.ended(partialsOlderThanMs) : context.leases.sweep(partialsOlderThanMs));
  const needed = await Needed.find({ ...context, ...(dryRun && goneNames !== undefined && { goneNames }) });
  context.step("marked");
  const now = context.now();
  const sweeping: SweepContext = { ...context, needed, dryRun, wouldGo: new Set(), partialsOlderThanMs, now, signal };
  const nothing = { count: 0, bytes: 0 };
  const isKnown = needed.broken.size === 0;
  const partials = isKnown ? await sweepPartials(sweeping) : nothing;
  const partialDisks = isKnown ? await sweepPartialDisks(sweeping) : nothing;
  const disks = isKnown ? await sweepDisks(sweeping) : nothing;
  const blobs = isKnown ? await sweepBlobs(sweeping) : nothing;
  context.step("swept");
  const records = (await sweepRecords(sweeping)) + (await sweepDiskRecords(sweeping));
  const locks = sweepLocks(sweeping);
  const temporary = await sweepTemporary(context, dryRun);
  context.step("tidied");
  return {
    blobs,
    disks,
    partials,
    partialDisks,
    records,
    leases,
    locks,
    temporary,
    freedBytes: blobs.bytes + disks.bytes + partials.bytes + partialDisks.bytes,
    broken: [...needed.broken].map(([image, reason]) => ({ image, reason })),
  };
}

/** Files that were to take the place of another when their writer died. Who writes them now holds the lock. */
async function sweepTemporary({ layout, locks }: CollectContext, dryRun: boolean): Promise<number> {
  let count = 0;
  for (const [path, lock] of [
    [temporaryIndex(layout), "index"],
    [join(layout.root, ".oci-layout.new"), "store"],
  ] as const) {
    if ((await stat(path).catch(() => undefined)) === undefined) continue;
    if (!dryRun) {
      using _lock = await locks.named(lock);
      await rm(path, { force: true });
    }
    count++;
  }
  return count;
}
