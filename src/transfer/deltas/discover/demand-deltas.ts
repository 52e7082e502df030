/** For `--delta always`: no layer is to come in another way, so that one without a delta is told of before any is begun. */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { UnpackTask } from "../../present-layer.ts";
import type { LayerDeltas } from "../types.ts";

/** Layers that a message names. */
const MOST_NAMED = 10;

/** @param missing layers that are not here in any form @throws VarveError `DELTA_NOT_FOUND`, naming those that have none */
export async function demandDeltas(deltas: LayerDeltas, missing: readonly UnpackTask[]): Promise<void> {
  const without: Digest[] = [];
  for (const task of missing) if ((await deltas.of(task)).length === 0) without.push(task.blob.digest);
  if (without.length === 0) return;
  const named = without.slice(0, MOST_NAMED).join(", ");
  const more = without.length > MOST_NAMED ? ` and ${without.length - MOST_NAMED} more` : "";
  const layers = without.length === 1 ? "a layer has" : `${without.length} layers have`;
  throw new VarveError("DELTA_NOT_FOUND", `${layers} no delta from what is here: ${named}${more}`, {
    detail: { layers: without },
  });
}
