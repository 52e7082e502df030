/** What the parts of a sweep share (see sweep.ts). */
import type { StoreLayout } from "../store/layout.ts";
import type { Store } from "../store/store.ts";
import type { Steps } from "./steps.ts";
import type { SnapshotRecord } from "./types.ts";
import type { WantedChains } from "./wanted-chains.ts";

export interface SweepContext {
  readonly store: Store;
  readonly layout: StoreLayout;
  readonly stepsOf: ReadonlyMap<string, Steps>;
  readonly wanted: WantedChains;
  readonly dryRun: boolean;
  readonly unfinishedMs: number | undefined;
  readonly isAbandoned: (snapshot: SnapshotRecord) => boolean | Promise<boolean>;
  /** Ids of what would have gone, in a dry run. */
  readonly wouldGo: Set<number>;
  readonly signal: AbortSignal | undefined;
}
