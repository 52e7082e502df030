/** A layer whose tar is held elsewhere, in a store that `--delta-root` names or as a tree, made anew of just that. */
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, type VarveError } from "../../errors/varve-error.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Segment } from "../../recipe/segment.ts";
import { isHopeless } from "../chunked/hopeless.ts";
import type { TransferContext } from "../context.ts";
import { dropIngest } from "../drop-ingest.ts";
import type { LayerOutcome, TryOptions } from "../fetch-layer.ts";
import type { LayerWork } from "../image-unpacking.ts";
import { makeLayer } from "../make-layer.ts";
import type { UnpackTask } from "../present-layer.ts";
import type { DeltaPull } from "./delta-pull.ts";
import type { TarPlan } from "./types.ts";

/** @returns why it did not lead there; nothing of it is left then. `made`: another process has made it meanwhile @throws what stands in the way of every way */
export async function copyTar(
  context: TransferContext,
  task: UnpackTask,
  pull: DeltaPull,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | VarveError | "made"> {
  const { signal } = options;
  const { diffId } = task;
  await options.lease?.add(diffId);
  const outcome = await tryCopy(context, task, pull, options, work);
  if ("result" in outcome) return outcome;
  if (outcome.detail["made"] === true) return "made";
  // What is held compressed takes more room than the layer's blob.
  const isTight = !pull.deltas.isOnlyWay && isVarveError(outcome, "NO_SPACE");
  if (signal.aborted || (isHopeless(outcome) && !isTight)) throw outcome;
  await dropIngest(context.store, diffId, signal);
  return outcome;
}

async function tryCopy(
  context: TransferContext,
  task: UnpackTask,
  pull: DeltaPull,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | VarveError> {
  try {
    await using tar = await pull.tars.open(task.diffId, options.signal);
    using _turn = await pull.turn(options.signal);
    return await makeLayer(context, task, planCopy(task, tar), { ...options, budget: pull.budget }, work);
  } catch (thrown) {
    return toVarveError(thrown, `copying the layer ${task.diffId}`);
  }
}

function planCopy({ diffId }: UnpackTask, tar: SeekableTar): TarPlan {
  const { size } = tar;
  const why = "rebuilt from where it is held";
  const recipe = { target: { digest: diffId, size }, segments: { [Symbol.iterator]: () => segmentsOf(tar) } };
  return {
    how: "present",
    plan: { how: "present", recipe, cost: { network: 0, requests: 0, local: size, data: 0, zero: 0 }, why },
    why,
    replan: () => Promise.resolve(undefined),
    remember: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

function* segmentsOf(tar: SeekableTar): Generator<Segment> {
  for (const part of tar.parts(0, tar.size)) {
    if (part.kind === "data") yield { kind: "data", bytes: part.bytes, local: part.bytes.length };
    else yield { kind: "local", path: part.path, start: part.start, length: part.length };
  }
}
