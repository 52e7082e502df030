/** The use case "gc": removes from the store what no image, no lease and no running process needs. */
import type { SweptSnapshots } from "../snapshot/sweep.ts";
import type { Collection } from "../store/collect.ts";
import type { TransferContext } from "./context.ts";
import { orphanedLists } from "./disks/index/index-lists.ts";
import { sweepUnpacked } from "./unpacked.ts";

export interface GcOptions {
  /**
   * Partial data, and what pulls left that were cut off, goes when it is older than this, in milliseconds. Default: a week; 0 takes
   * all that no running process is at work on.
   */
  readonly partialsOlderThanMs?: number;
  /** Only tell what would go, and change nothing. Default false. */
  readonly dryRun?: boolean;
}

export interface GcResult extends Collection, Pick<SweptSnapshots, "snapshots" | "layers" | "folders"> {
  /** In all, what was unpacked included. */
  readonly freedBytes: number;
  readonly dryRun: boolean;
  readonly durationMs: number;
}

/** @throws VarveError `STORE_READ_ONLY` unless it is a dry run, `INTERRUPTED`, `PERMISSION`, `IO` */
export async function collectGarbage(context: TransferContext, options: GcOptions = {}): Promise<GcResult> {
  const startedAt = performance.now();
  const { store, signal, onProgress } = context;
  // Whose image has another digest now, or went in another way than by its name.
  const orphans = await orphanedLists(store);
  if (options.dryRun !== true) await store.images.deleteUnchanged(orphans);
  const goneNames = new Set(orphans.map(({ name }) => name));
  const collection = await store.collectGarbage({ ...options, goneNames, signal });
  for (const { image, reason } of collection.broken) {
    onProgress({
      type: "warning",
      message: `no blobs were removed, because nobody can say which are needed: ${image}: ${reason}; varve fsck --repair mends it, varve rm takes it out`,
    });
  }
  const { partialsOlderThanMs: unfinishedMs, dryRun = false } = options;
  const { snapshots, layers, folders } = await sweepUnpacked(context, {
    dryRun,
    ...(unfinishedMs !== undefined && { unfinishedMs }),
  });
  return {
    ...collection,
    snapshots,
    layers,
    folders,
    freedBytes: collection.freedBytes + snapshots.bytes + layers.bytes + folders.bytes,
    dryRun,
    durationMs: Math.round(performance.now() - startedAt),
  };
}
