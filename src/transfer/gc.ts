/** The use case "gc": removes from the store what no image, no lease and no running process needs. */
import type { Collection } from "../store/collect.ts";
import type { TransferContext } from "./context.ts";

export interface GcOptions {
  /**
   * Partial data, and what pulls left that were cut off, goes when it is older than this, in milliseconds. Default: a week; 0 takes
   * all that no running process is at work on.
   */
  readonly partialsOlderThanMs?: number;
  /** Only tell what would go, and change nothing. Default false. */
  readonly dryRun?: boolean;
}

export interface GcResult extends Collection {
  readonly dryRun: boolean;
  readonly durationMs: number;
}

/** @throws VarveError `STORE_READ_ONLY` unless it is a dry run, `INTERRUPTED`, `PERMISSION`, `IO` */
export async function collectGarbage(context: TransferContext, options: GcOptions = {}): Promise<GcResult> {
  const startedAt = performance.now();
  const { store, signal, onProgress } = context;
  const collection = await store.collectGarbage({ ...options, signal });
  for (const { image, reason } of collection.broken) {
    onProgress({
      type: "warning",
      message: `no blobs were removed, because nobody can say which are needed: ${image}: ${reason}; varve fsck --repair mends it, varve rm takes it out`,
    });
  }
  return { ...collection, dryRun: options.dryRun ?? false, durationMs: Math.round(performance.now() - startedAt) };
}
