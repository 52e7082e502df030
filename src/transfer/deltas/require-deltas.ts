/** For `--delta always`: which layers are not here in any form, and that each of them has a delta. */
import { chainIds } from "../../oci/chain-id.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { TransferContext } from "../context.ts";
import { findOtherForm } from "../other-form.ts";
import type { LayerTask, UnpackTask } from "../present-layer.ts";
import { isHeld, type SnapshotterChoice } from "../snapshotter.ts";
import type { DeltaPull } from "./delta-pull.ts";
import { demandDeltas } from "./discover/demand-deltas.ts";

/**
 * @param tasks all of the image, in its order, repeated ones too
 * @param unpacksInto undefined where nothing is to be or can be unpacked
 * @throws VarveError `DELTA_NOT_FOUND`
 */
export async function requireDeltas(
  { store }: TransferContext,
  tasks: readonly LayerTask[],
  unpacksInto: SnapshotterChoice | undefined,
  { deltas, tars }: DeltaPull,
): Promise<void> {
  if (deltas.isOnlyWay) return;
  const diffIds = tasks.flatMap(({ diffId }) => diffId ?? []);
  const chain = chainIds(diffIds);
  const missing: UnpackTask[] = [];
  for (const task of tasks) {
    const { blob, diffId } = task;
    if (diffId === undefined || (await store.content.stat(blob.digest)) !== undefined) continue;
    if ((await findOtherForm(store, { blob, diffId })) !== undefined || (await tars.has(diffId))) continue;
    const chainId = chain[diffIds.indexOf(diffId)] ?? diffId;
    if (unpacksInto !== undefined && (await isHeld(store, unpacksInto, { chainId, diffId }))) continue;
    missing.push({ ...task, diffId });
  }
  if (missing.length > 0 && (unpacksInto ?? "none") === "none") {
    throw new VarveError("DELTA_NOT_FOUND", "deltas make layers that are unpacked, and none is unpacked here");
  }
  await demandDeltas(deltas, missing);
}
