/**
 * A layer by deltas: the delta's blob comes into an ingest of its own, and the layer's tar is made of it as it comes. What fails is either the
 * pull's error, where there is no other way, or a way that is left, with nothing of it in the way of the next.
 */
import { toVarveError } from "../../errors/from-system.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { isHopeless } from "../chunked/hopeless.ts";
import type { TransferContext } from "../context.ts";
import { dropIngest } from "../drop-ingest.ts";
import type { LayerOutcome, TryOptions } from "../fetch-layer.ts";
import type { LayerWork } from "../image-unpacking.ts";
import { makeLayer } from "../make-layer.ts";
import type { UnpackTask } from "../present-layer.ts";
import { placeOf, type DeltaPull } from "./delta-pull.ts";
import { planDelta, type DeltaPlan } from "./plan-delta.ts";
import type { LayerDelta } from "./types.ts";

/** What says of a delta that is whole that nothing will ever come of it. */
const IS_WORTHLESS: ReadonlySet<ErrorCode> = new Set(["DELTA_INVALID", "DELTA_BASE_DIFFERS", "DIFFID_MISMATCH"]);

/**
 * @returns `left` when the delta does not lead there, which is then told; another one may
 * @throws what stands in the way of every way; where there is no other way, also what is wrong with this one: `DELTA_BASE_MISSING`, `DELTA_BASE_DIFFERS`,
 * `DELTA_INVALID`, `DIFFID_MISMATCH`, `SOURCE_CHANGED`, and what fetching the delta throws
 */
export async function getByDelta(
  context: TransferContext,
  task: UnpackTask,
  delta: LayerDelta,
  pull: DeltaPull,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | "left"> {
  const { signal, story } = options;
  const { isOnlyWay } = pull.deltas;
  // An earlier try that was cut off must find what came of it.
  await options.lease?.add(task.diffId, delta.blob.digest);
  const outcome = await tryDelta(context, task, delta, pull, options, work);
  if ("result" in outcome) {
    await options.lease?.drop(delta.blob.digest);
    return outcome;
  }
  signal.throwIfAborted();
  if (outcome.detail["made"] === true) return "left";
  if (outcome.detail["again"] === true) {
    context.onProgress({
      type: "fallback",
      digest: task.blob.digest,
      from: "what an earlier try left",
      reason: outcome.message,
    });
    return "left";
  }
  if (isOnlyWay || (isHopeless(outcome) && !isVarveError(outcome, "NO_SPACE"))) throw outcome;
  // Another way may need the room.
  await dropIngest(context.store, delta.blob.digest, signal);
  await dropIngest(context.store, task.diffId, signal);
  story.leave(`delta ${delta.blob.digest}`, { from: delta.how, reason: `${outcome.code}: ${outcome.message}` });
  return "left";
}

/** @returns the error that it ends in; what came is kept where it may be of use to who tries again */
async function tryDelta(
  context: TransferContext,
  task: UnpackTask,
  delta: LayerDelta,
  pull: DeltaPull,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | VarveError> {
  const { store } = context;
  const { signal, wait, budget, priority, story } = options;
  const place = placeOf(context, pull.deltas, delta);
  let plan: DeltaPlan | undefined;
  try {
    plan = await planDelta(context, task, delta, {
      tars: pull.tars,
      isOnlyWay: pull.deltas.isOnlyWay,
      turn: (stopped) => pull.turn(stopped),
      place: { ...place, blobs: options.tally.counting(place.blobs) },
      signal,
      wait,
      budget,
      priority,
      layersLeft: options.layersLeft(),
      onProgress: context.onProgress,
    });
  } catch (thrown) {
    const error = toVarveError(thrown, `planning the layer ${task.diffId}`);
    if (IS_WORTHLESS.has(error.code) && !signal.aborted) await dropIngest(store, delta.blob.digest, signal);
    return error;
  }
  await using planned = plan;
  const { blob } = planned;
  const hadTar = (await store.content.partial(task.diffId)).length > 0;
  const made = await makeLayer(context, task, planned, { ...options, budget: pull.budget }, work).catch(
    (thrown: unknown) => toVarveError(thrown),
  );
  if ("result" in made) {
    await blob.drop();
    return withMoved(made, planned);
  }
  story.tally.add(blob.moved);
  if (made.detail["made"] === true) {
    await blob.drop();
    return made;
  }
  const error = await causeOf(made, planned, task, pull.deltas.isOnlyWay);
  if (signal.aborted || isHopeless(error)) return error;
  // Nobody knows which bytes of the tar are right.
  await dropIngest(store, task.diffId, signal);
  if (isVarveError(error, "DIFFID_MISMATCH") && hadTar) return again(error);
  if (IS_WORTHLESS.has(error.code)) await blob.drop();
  return error;
}

/** What the delta cost is part of what the layer cost. */
function withMoved({ result, resumedBytes }: LayerOutcome, { blob }: DeltaPlan): LayerOutcome {
  const { bytes, requests } = result;
  const { network } = blob.moved;
  return {
    result: {
      ...result,
      bytes: { ...bytes, network: bytes.network + network },
      requests: requests + blob.moved.requests,
    },
    resumedBytes,
  };
}

/** A delta that did not come is told of as that, and not as what it looked like. */
async function causeOf(
  error: VarveError,
  { blob }: DeltaPlan,
  { diffId }: UnpackTask,
  isOnlyWay: boolean,
): Promise<VarveError> {
  if (isHopeless(error)) return error;
  // Whether all of it is right is worth waiting for only where that is the answer.
  const fault = isOnlyWay ? await faultOf(blob) : undefined;
  if (fault !== undefined) return fault;
  const isTars = isVarveError(error, "DIGEST_MISMATCH") && error.detail["expected"] === diffId;
  if (!isTars && !isVarveError(error, "SIZE_MISMATCH")) return error;
  const { computed } = error.detail;
  const made = typeof computed === "string" ? computed : "something else";
  return new VarveError("DIFFID_MISMATCH", `the delta of layer ${diffId} makes ${made}`, {
    hint: "the delta, or a layer that it was made from, is not what it was: varve fsck checks what is here",
    cause: error,
    detail: { expected: diffId, computed },
  });
}

/** Part of the tar was from an earlier try, perhaps the wrong part. */
function again({ code, message, hint, detail, cause }: VarveError): VarveError {
  return new VarveError(code, message, { hint, cause, detail: { ...detail, again: true } });
}

async function faultOf(blob: DeltaPlan["blob"]): Promise<VarveError | undefined> {
  try {
    await blob.whole();
    return undefined;
  } catch (thrown) {
    return toVarveError(thrown);
  }
}
