/**
 * Deltas that do not say how large the layers are that they make (balena's own): all of them come whole, and each is read once. They stay as partial
 * content, from which the layers are then made.
 */
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { measureDelta } from "../../plan/librsync-delta.ts";
import type { TransferBudget } from "../../recipe/limiter.ts";
import { freeSpace } from "../../sys/free-space.ts";
import type { TransferContext } from "../context.ts";
import { inParallel } from "../in-parallel.ts";
import { openBase } from "../layer-tars/open-base.ts";
import type { Tally } from "../tally.ts";
import { DeltaBlob } from "./delta-blob.ts";
import { placeOf } from "./delta-pull.ts";
import type { NamedDeltas } from "./named-deltas.ts";
import { librsyncOf } from "./open-delta.ts";
import { asLayer, measureInto } from "./plan-delta.ts";
import type { LayerTars } from "./types.ts";

export interface MeasureDeltasOptions {
  readonly tars: LayerTars;
  readonly budget: TransferBudget;
  readonly wait: boolean;
  readonly tally: Tally;
}

/** @throws VarveError `DELTA_BASE_MISSING`, `DELTA_INVALID`, `DELTA_BASE_DIFFERS`; what fetching them throws */
export async function measureDeltas(
  context: TransferContext,
  deltas: NamedDeltas,
  diffIds: readonly Digest[],
  { tars, budget, wait, tally }: MeasureDeltasOptions,
): Promise<void> {
  const { onProgress } = context;
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const [first] = diffIds;
  const [any] = first === undefined ? [] : await deltas.of({ diffId: first });
  if (any === undefined) return;
  await using base = await openBase(tars, any.base, signal);
  const room = (await freeSpace(context.store.root).catch(() => undefined)) ?? Number.MAX_SAFE_INTEGER;
  await inParallel([...diffIds.entries()], budget.concurrency, async ([priority, diffId]) => {
    const [delta] = await deltas.of({ diffId });
    if (delta === undefined) return;
    const place = placeOf(context, deltas, delta);
    const given = { place: { ...place, blobs: tally.counting(place.blobs) }, signal, wait, budget, priority };
    const measure = async (): Promise<void> => {
      const options = { ...given, layersLeft: diffIds.length, onProgress: asLayer(diffId, onProgress, true) };
      await using blob = await DeltaBlob.open(context, delta.blob, options);
      await blob.whole();
      const bytes = librsyncOf(blob.read(signal), signal);
      const sizeUpTo = async (limit: number): Promise<number> => (await measureDelta(bytes, base, { limit })).size;
      deltas.measured(diffId, await measureInto(room, sizeUpTo));
    };
    try {
      await measure().catch((error: unknown) => {
        // A proxy may have erred; it has been said which blob it was.
        if (!isVarveError(error, "DIGEST_MISMATCH") && !isVarveError(error, "SIZE_MISMATCH")) throw error;
        return measure();
      });
    } catch (thrown) {
      const error = toVarveError(thrown, `measuring the delta ${delta.blob.digest}`);
      failed.abort(new VarveError("INTERRUPTED", "another delta failed"));
      throw error;
    }
  });
}
