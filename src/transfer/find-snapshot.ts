/** Which snapshot a word on the command line means: a key or name, or an image, which stands for the snapshot of its topmost layer. */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { DriverName } from "../snapshot/types.ts";
import type { SnapshotEntry } from "../store/snapshot-records.ts";
import type { TransferContext } from "./context.ts";
import { openManifest, readImageConfig } from "./open-image.ts";
import { openSource } from "./open-place.ts";
import { DRIVER_NAMES, openSnapshots, unpackedBy, type SnapshotterChoice } from "./snapshotter.ts";

export interface FoundSnapshot {
  readonly snapshots: Snapshots;
  readonly key: string;
}

/**
 * Keys win over images. Looks at the snapshots of the context's driver where it names one, else at those of all.
 * @throws VarveError `SNAPSHOT_NOT_FOUND`, also for an image that is not unpacked; `DRIVER_UNAVAILABLE`
 */
export async function findSnapshot(context: TransferContext, text: string): Promise<FoundSnapshot> {
  const { store } = context;
  const entry = await findKey(context, text);
  if (entry !== undefined) return { snapshots: await openSnapshots(store, entry.driver as DriverName), key: text };
  const chainId = await topOf(context, text);
  const driver = chainId && (await unpackedBy(store, choiceOf(context), chainId));
  if (driver !== undefined) return { snapshots: await openSnapshots(store, driver), key: chainId ?? text };
  if (chainId === undefined) {
    throw new VarveError("SNAPSHOT_NOT_FOUND", `the image ${text} has no layers, and so no snapshot`, {
      hint: "varve snapshots prepare KEY makes one on nothing",
    });
  }
  throw new VarveError("SNAPSHOT_NOT_FOUND", `the image ${text} is not unpacked here`, {
    hint: `varve pull ${text} unpacks it`,
  });
}

/** @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE` when it is committed or a view; `DRIVER_UNAVAILABLE` */
export async function findActive(context: TransferContext, key: string): Promise<FoundSnapshot> {
  const found = await findKey(context, key);
  if (found === undefined) throw new VarveError("SNAPSHOT_NOT_FOUND", `there is no snapshot ${key}`);
  if (found.kind === "active")
    return { snapshots: await openSnapshots(context.store, found.driver as DriverName), key };
  throw new VarveError("SNAPSHOT_STATE", `${key} is not active, so that nobody can have written to it`, {
    hint: "varve snapshots prepare KEY PARENT makes one that is",
  });
}

export async function findKey(context: TransferContext, key: string): Promise<SnapshotEntry | undefined> {
  const choice = choiceOf(context);
  for (const driver of choice === "auto" ? DRIVER_NAMES : [choice]) {
    const found = await context.store.snapshots.get(driver, key);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Who does not unpack may still ask for what was. */
function choiceOf({ snapshotter }: TransferContext): Exclude<SnapshotterChoice, "none"> {
  const { choice = "auto" } = snapshotter ?? {};
  return choice === "none" ? "auto" : choice;
}

/** The ChainID of all layers of an image of the store; undefined when it has none. */
async function topOf(context: TransferContext, image: string): Promise<Digest | undefined> {
  try {
    await using source = await openSource(context, image);
    const { manifest } = await openManifest(source, image, undefined);
    const { rootfs } = await readImageConfig(source, manifest, image, context.signal);
    return chainIds(rootfs.diffIds).at(-1);
  } catch (error) {
    const isNone = isVarveError(error, "IMAGE_NOT_FOUND") || isVarveError(error, "REFERENCE_INVALID");
    if (!isNone) throw error;
    throw new VarveError("SNAPSHOT_NOT_FOUND", `there is neither a snapshot nor an image ${JSON.stringify(image)}`, {
      cause: error,
      hint: "varve snapshots ls and varve images list what there is",
    });
  }
}
