/** What a store holds unpacked: whether there is any, how much of the disk it takes, and the sweep of what nothing needs. */
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { isVarveError } from "../errors/varve-error.ts";
import { isDigest, type Digest } from "../oci/digest.ts";
import type { SweptSnapshots } from "../snapshot/sweep.ts";
import type { Driver } from "../snapshot/types.ts";
import { ALGORITHMS, StoreLayout } from "../store/layout.ts";
import type { SnapshotRecord } from "../store/snapshot-record.ts";
import type { Store } from "../store/store.ts";
import type { TransferContext } from "./context.ts";
import { DRIVER_NAMES } from "./snapshotter.ts";

export interface UnpackedUsage {
  /** Of all drivers, with what users have written to active ones; layers that are held apart count below. */
  readonly snapshots: { readonly count: number; readonly bytes: number };
  /** Layers that are held whatever their parents. */
  readonly layers: { readonly count: number; readonly bytes: number };
  /** Bytes on the disk of each snapshot and each layer. */
  readonly bytesOf: ReadonlyMap<UnpackedKey, number>;
}

/** Snapshots and layers by names that no blob has. */
export type UnpackedKey = `snapshot ${string}` | `layer ${Digest}`;

const NOTHING: SweptSnapshots = {
  snapshots: { count: 0, bytes: 0 },
  layers: { count: 0, bytes: 0 },
  folders: { count: 0, bytes: 0 },
  broken: [],
};

/** Whether there may be anything unpacked; most of what asks has nothing to do otherwise, and loads nothing. */
async function isAnything({ root, snapshots }: Store): Promise<boolean> {
  const layout = new StoreLayout(root);
  if ([layout.snapshots, layout.layers].some((path) => existsSync(path) && readdirSync(path).length > 0)) return true;
  for await (const _first of snapshots.walk()) return true;
  return false;
}

export interface SweepUnpackedOptions {
  readonly dryRun?: boolean;
  /** As in `SweepOptions`. */
  readonly unfinishedMs?: number;
}

/** Removes what is unpacked and nothing needs, of the drivers that work here. */
export async function sweepUnpacked(
  { store, signal }: TransferContext,
  options: SweepUnpackedOptions = {},
): Promise<SweptSnapshots> {
  if (!(await isAnything(store))) return NOTHING;
  const [{ sweepSnapshots }, { isAbandonedView }] = await Promise.all([
    import("../snapshot/sweep.ts"),
    import("./mount-image.ts"),
  ]);
  const drivers = await workingDrivers(store);
  return sweepSnapshots({ store, drivers, signal, isAbandoned: isAbandonedView, ...options });
}

/** Those whose folders can be removed by this process; the others' stay. */
export async function workingDrivers(store: Store): Promise<Driver[]> {
  const { openDriver } = await import("../snapshot/drivers.ts");
  const drivers: Driver[] = [];
  for (const name of DRIVER_NAMES) {
    try {
      drivers.push(await openDriver(name, store));
    } catch (error) {
      if (!isVarveError(error, "DRIVER_UNAVAILABLE") && !isVarveError(error, "FFI_UNAVAILABLE")) throw error;
    }
  }
  return drivers;
}

/** Looks at the disk for what may have changed; of committed trees it is recorded. */
export async function unpackedUsage(store: Store): Promise<UnpackedUsage> {
  const snapshots = { count: 0, bytes: 0 };
  const layers = { count: 0, bytes: 0 };
  const bytesOf = new Map<UnpackedKey, number>();
  if (!(await isAnything(store))) return { snapshots, layers, bytesOf };
  const [{ bytesOf: measure }, { indexBytes }, { splitBytes }] = await Promise.all([
    import("../snapshot/sweep-count.ts"),
    import("../store/local-sources/own-files.ts"),
    import("../layer/seekable/split-path.ts"),
  ]);
  const layout = new StoreLayout(store.root);
  const folderBytes = async (path: string): Promise<number> => measure(path);
  for await (const record of store.snapshots.walk()) {
    const folder = layout.snapshot(record.id);
    // What was recorded when it was committed, and what has been learnt of it since.
    const bytes = isRecorded(record)
      ? record.bytes + (await indexBytes(folder)) + (await splitBytes(folder))
      : await folderBytes(folder);
    bytesOf.set(`snapshot ${record.key}`, (bytesOf.get(`snapshot ${record.key}`) ?? 0) + bytes);
    snapshots.count++;
    snapshots.bytes += bytes;
  }
  for (const diffId of heldLayers(layout)) {
    const bytes = await folderBytes(layout.layer(diffId));
    bytesOf.set(`layer ${diffId}`, bytes);
    layers.count++;
    layers.bytes += bytes;
  }
  return { snapshots, layers, bytesOf };
}

/** EROFS snapshots count their layers, which others share, when they are committed. */
function isRecorded({ kind, driver }: SnapshotRecord): boolean {
  return kind === "committed" && driver !== "erofs";
}

/** DiffIDs of the layers that lie in `layers/`. */
export function heldLayers(layout: StoreLayout): Digest[] {
  return ALGORITHMS.flatMap((algorithm) => {
    const path = join(layout.layers, algorithm);
    const names = existsSync(path) ? readdirSync(path) : [];
    return names.map((name) => `${algorithm}:${name}`).filter((text): text is Digest => isDigest(text));
  });
}
