/**
 * What images are unpacked into: the snapshot service on the driver that was asked for, or on the best that works here. It is opened when a
 * layer has to be unpacked or mounted, because finding out what works costs more than a pull that has nothing to do.
 */
import type { Digest } from "../oci/digest.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName } from "../snapshot/types.ts";
import type { Store } from "../store/store.ts";

export const DRIVER_NAMES: readonly DriverName[] = ["erofs", "overlay", "copy"];

/** `none`: layers are checked and not unpacked. */
export type SnapshotterChoice = "auto" | DriverName | "none";

/** Snapshots, or why there are none: a sentence without a full stop. */
export type OpenedSnapshotter =
  | { readonly snapshots: Snapshots }
  | { readonly snapshots: undefined; readonly why: string };

export interface Snapshotter {
  readonly choice: SnapshotterChoice;
  /** Once for all who ask. @throws VarveError `DRIVER_UNAVAILABLE` when a driver was named that does not work here */
  open(): Promise<OpenedSnapshotter>;
}

/** Who holds all layers of an image unpacked, as far as the records say: the question of a pull that may have nothing to do. */
export async function unpackedBy(
  store: Store,
  choice: SnapshotterChoice,
  topChainId: Digest,
): Promise<DriverName | undefined> {
  const drivers = choice === "auto" ? DRIVER_NAMES : choice === "none" ? [] : [choice];
  for (const driver of drivers) {
    if ((await store.snapshots.get(driver, topChainId))?.kind === "committed") return driver;
  }
  return undefined;
}
