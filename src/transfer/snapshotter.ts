/**
 * What images are unpacked into: the snapshot service on the driver that was asked for, or on the best that works here. It is opened when a
 * layer has to be unpacked or mounted, because finding out what works costs more than a pull that has nothing to do.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName } from "../snapshot/types.ts";
import type { Store } from "../store/store.ts";

/** In the order in which a store is looked through for an image. */
export const DRIVER_NAMES: readonly DriverName[] = ["erofs", "overlay", "copy"];

/** `none`: layers are checked and not unpacked. */
export type SnapshotterChoice = "auto" | DriverName | "none";

/** Snapshots, or why there are none although they were wanted: a sentence without a full stop. */
export type OpenedSnapshotter =
  | { readonly snapshots: Snapshots }
  | { readonly snapshots: undefined; readonly why?: string };

export interface Snapshotter {
  readonly choice: SnapshotterChoice;
  /** Once for all who ask. @throws VarveError `DRIVER_UNAVAILABLE` when a driver was named that does not work here; `NO_SPACE` */
  open(): Promise<OpenedSnapshotter>;
}

/** @param options.sync whether what is unpacked survives a power cut. Default true */
export function snapshotterFor(
  store: Store,
  choice: SnapshotterChoice,
  options: { readonly sync?: boolean } = {},
): Snapshotter {
  let opening: Promise<OpenedSnapshotter> | undefined;
  return { choice, open: () => (opening ??= openSnapshotter(store, choice, options)) };
}

async function openSnapshotter(
  store: Store,
  choice: SnapshotterChoice,
  options: { readonly sync?: boolean },
): Promise<OpenedSnapshotter> {
  if (choice === "none") return { snapshots: undefined };
  const { probeDrivers } = await import("../snapshot/probe.ts");
  const reports = await probeDrivers(store.root, choice === "auto" ? DRIVER_NAMES : [choice], { mustHaveRoom: true });
  const chosen = reports.find((report) => (choice === "auto" ? report.default : report.usable));
  if (chosen !== undefined) return { snapshots: await openSnapshots(store, chosen.name, options) };
  const why = reports.map(({ name, reasons }) => `${name}: ${reasons.join(", ")}`).join("; ");
  if (choice === "auto")
    return { snapshots: undefined, why: `layers are only checked, because nothing can be mounted here (${why})` };
  throw new VarveError(
    "DRIVER_UNAVAILABLE",
    `the snapshotter ${choice} does not work in ${store.root}: ${reports[0]?.reasons.join(", ")}`,
  );
}

/** The snapshots of one driver, whether it could be mounted or not. @throws VarveError `DRIVER_UNAVAILABLE`, `FFI_UNAVAILABLE` */
export async function openSnapshots(
  store: Store,
  name: DriverName,
  options: { readonly sync?: boolean } = {},
): Promise<Snapshots> {
  const [{ Snapshots }, { openDriver }] = await Promise.all([
    import("../snapshot/service.ts"),
    import("../snapshot/drivers.ts"),
  ]);
  return new Snapshots({ store, driver: await openDriver(name, store), ...options });
}

function driversOf(choice: SnapshotterChoice): readonly DriverName[] {
  if (choice === "auto") return DRIVER_NAMES;
  return choice === "none" ? [] : [choice];
}

/** Who holds all layers of an image unpacked, as far as the records say: the question of a pull that may have nothing to do. */
export async function unpackedBy(
  store: Store,
  choice: SnapshotterChoice,
  topChainId: Digest,
): Promise<DriverName | undefined> {
  const drivers = driversOf(choice);
  for (const driver of drivers) {
    if ((await store.snapshots.get(driver, topChainId))?.kind === "committed") return driver;
  }
  return undefined;
}

/** Whether a layer is held unpacked, as far as the records say: in its place, or under other parents. */
export async function isHeld(
  store: Store,
  choice: SnapshotterChoice,
  layer: { readonly chainId: Digest; readonly diffId: Digest },
): Promise<boolean> {
  if ((await unpackedBy(store, choice, layer.chainId)) !== undefined) return true;
  const drivers = driversOf(choice);
  for (const driver of drivers) if ((await store.snapshots.findByDiffId(driver, layer.diffId)).length > 0) return true;
  return false;
}
