/**
 * Sweeping snapshots: layers of images that nobody wants any more, what processes left that died, folders that nothing names. What users
 * have made (under other names than ChainIDs, active snapshots, views) is theirs.
 *
 * It runs beside pulls and other collections; nobody waits for more than one transaction of some rows. Why what goes is not needed:
 *
 *     a layer of an image   goes in one transaction that sees no child, no lease of its ChainID, and as many changes of images as when they
 *                           were read last. Who builds on it leases first and looks then: either the lease is seen here, or the look finds
 *                           nothing. Who records an image does so before the lease ends, and that is a change. Children go first, so a
 *                           death in between leaves a chain that is only shorter
 *     a staged layer        its maker takes a lock before the row is to be seen, and has it until the layer is committed or given up; the
 *                           kernel lets go of it only for the dead
 *     a folder              its maker holds the id's lock from before there is a folder until there is a row. With the lock in our hand and
 *                           no row, the maker is dead or has failed, and ids are never given again. A tree that others share is needed as
 *                           long as one of them is, and can only be shared anew in a transaction that sees that it still is
 *     an unpacked layer     is moved out of sight in a transaction that sees no snapshot of this DiffID, also none that is only being made,
 *                           no lease, and no image that could not unpack it again. Who takes a layer into use records that first and
 *                           looks for the layer then
 *
 * When nobody can say what an image wants, because its documents are missing or damaged, no layer goes.
 */
import { StoreLayout } from "../store/layout.ts";
import type { Store } from "../store/store.ts";
import { Steps } from "./steps.ts";
import { addSwept, type SweptCount } from "./sweep-count.ts";
import { sweepChains } from "./sweep-chains.ts";
import { sweepCommitted, sweepFolders, sweepLayers, sweepStaged } from "./sweep-leftovers.ts";
import type { Driver, SnapshotRecord } from "./types.ts";
import { WantedChains } from "./wanted-chains.ts";

export interface SweepOptions {
  readonly store: Store;
  /** Snapshots of other drivers stay. */
  readonly drivers: readonly Driver[];
  /** Only tell what would go, and change nothing. Default false. */
  readonly dryRun?: boolean;
  /** Leases of dead and unfinished operations end when they are older, in milliseconds, as in `collectGarbage`. Default: when they expire. */
  readonly unfinishedMs?: number;
  /** Asked of each active snapshot and view that is not staged: a yes removes it. Default: all stay. */
  readonly isAbandoned?: (snapshot: SnapshotRecord) => boolean | Promise<boolean>;
  readonly signal?: AbortSignal;
}

export interface SweptSnapshots {
  /** Committed layers, what processes left staged, and what was abandoned. */
  readonly snapshots: Readonly<SweptCount>;
  /** Unpacked layers that are held apart from snapshots. */
  readonly layers: Readonly<SweptCount>;
  /** Folders that nothing named. */
  readonly folders: Readonly<SweptCount>;
  /** Images of which nobody can say what they want. While there are any no layer goes. */
  readonly broken: readonly { readonly image: string; readonly reason: string }[];
}

/** @throws VarveError `STORE_READ_ONLY` unless it is a dry run, `IO`, `PERMISSION`; the signal's reason */
export async function sweepSnapshots(options: SweepOptions): Promise<SweptSnapshots> {
  const { store, drivers, dryRun = false, unfinishedMs, isAbandoned = () => false, signal } = options;
  const stepsOf = new Map(drivers.map((driver) => [driver.name as string, new Steps(store, driver, () => {})]));
  const wanted = await WantedChains.find(store);
  const layout = new StoreLayout(store.root);
  const context = {
    store,
    layout,
    stepsOf,
    wanted,
    dryRun,
    unfinishedMs,
    isAbandoned,
    wouldGo: new Set<number>(),
    signal,
  };
  const isClear = wanted.broken.size === 0;
  const snapshots = await sweepStaged(context);
  if (isClear) addSwept(snapshots, await sweepChains(context));
  await sweepCommitted(context);
  const folders = await sweepFolders(context);
  const layers = isClear ? await sweepLayers(context) : { count: 0, bytes: 0 };
  return { snapshots, layers, folders, broken: [...wanted.broken].map(([image, reason]) => ({ image, reason })) };
}
