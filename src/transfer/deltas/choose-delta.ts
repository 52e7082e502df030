/** Whether a layer that is not here is to be made by a delta, or of its tar that is held elsewhere: the same for a pull and for its plan. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Cost } from "../../plan/plan.ts";
import { coarseRates } from "../chunked/coarse-rates.ts";
import type { TransferContext } from "../context.ts";
import type { KnownRates } from "../known-rates.ts";
import type { LayerStory } from "../layer-story.ts";
import { planFetch } from "../plan-fetch.ts";
import type { UnpackTask } from "../present-layer.ts";
import { placeOf, type DeltaPull } from "./delta-pull.ts";
import { isChunkedBetter, mayAnyBeWorth, weighDeltas } from "./discover/weigh.ts";
import type { LayerDelta, LayerDeltas, LayerTars } from "./types.ts";

export interface ChooseDeltaOptions {
  /** What was tried. Default: nothing. */
  readonly story?: Pick<LayerStory, "mayTry">;
  readonly rates: KnownRates;
  /** Layers that are still to be fetched, this one too. */
  readonly layersLeft: number;
  /** Transfers at once. */
  readonly concurrency: number;
  /** Whether layers can be unpacked here, asked only where that matters: to find it out writes to the store. Default: they can. */
  readonly unpacks?: () => Promise<boolean>;
}

export type DeltaChoice =
  /** The tar of the layer is held, and so many bytes long as whoever opens it finds. */
  | { readonly way: "held-tar" }
  | {
      readonly way: "delta";
      readonly delta: LayerDelta;
      readonly cost: Cost;
      readonly why: string;
      /** Whether it is to be taken although the layer could be made of pieces at this cost. */
      readonly beats: (chunked: Cost) => boolean;
    }
  /** Deltas would save too little. */
  | { readonly way: "none"; readonly why: string };

/**
 * @throws VarveError `DELTA_BASE_MISSING` for a layer that a delta image leaves out and that is not here; `DELTA_NOT_FOUND` for one that nothing makes, or
 * nothing has made, where no other way is wanted
 */
export async function chooseDelta(
  context: TransferContext,
  task: UnpackTask,
  { deltas, tars, mode }: DeltaPull,
  { story, rates: known, layersLeft, concurrency, unpacks = () => Promise.resolve(true) }: ChooseDeltaOptions,
): Promise<DeltaChoice | undefined> {
  const { registry, store } = context;
  const mayTry: LayerStory["mayTry"] = (way) => story?.mayTry(way) ?? true;
  if (!deltas.isOnlyWay && mayTry("held-tar") && (await tars.has(task.diffId, { quick: true }))) {
    return (await unpacks()) ? { way: "held-tar" } : undefined;
  }
  const facts = { layersLeft, concurrency };
  const fetching = (delta: LayerDelta): Promise<Cost> => costOf(context, delta, deltas, facts);
  if (deltas.isOnlyWay) return chooseOnly(task, deltas, tars, mayTry, fetching);
  const done = await store.content.partial(task.blob.digest);
  const plain = planFetch(task.blob, { ...facts, done, ranges: registry.supportsRanges(task.reference) });
  const rates = coarseRates(known, concurrency);
  if (mode === "auto" && !mayAnyBeWorth(plain, rates)) return undefined;
  const found = await deltas.of(task);
  const all = found.filter(({ blob }) => mayTry(`delta ${blob.digest}`));
  if (all.length === 0 && mode === "always") throw nothingLeft(task, found.length);
  if (all.length === 0 || !(await unpacks())) return undefined;
  const { worth, why = "" } = await weighDeltas(context, task, all, { ...facts, mode, plain, rates });
  const [best] = worth;
  if (best === undefined) return { way: "none", why };
  const beats = (chunked: Cost): boolean => mode === "always" || !isChunkedBetter(chunked, best, rates);
  return { way: "delta", delta: best.delta, cost: best.cost, why: best.why, beats };
}

async function chooseOnly(
  task: UnpackTask,
  deltas: LayerDeltas,
  tars: LayerTars,
  mayTry: LayerStory["mayTry"],
  costOf: (delta: LayerDelta) => Promise<Cost>,
): Promise<DeltaChoice> {
  const only = (await deltas.of(task)).find(({ blob }) => mayTry(`delta ${blob.digest}`));
  if (only !== undefined) {
    const why = `made of ${only.base.length === 1 ? "the layer" : `the ${only.base.length} layers`} of its base`;
    return { way: "delta", delta: only, cost: await costOf(only), why, beats: () => true };
  }
  if (mayTry("held-tar") && (await tars.has(task.diffId))) return { way: "held-tar" };
  throw new VarveError("DELTA_BASE_MISSING", `the delta leaves out layer ${task.diffId}, and it is not here`, {
    detail: { diffId: task.diffId },
  });
}

function nothingLeft({ blob: { digest } }: UnpackTask, tried: number): VarveError {
  const message =
    tried === 0 ? `layer ${digest} has no delta from what is here` : `no delta of layer ${digest} has made it`;
  return new VarveError("DELTA_NOT_FOUND", message, { detail: { layers: [digest] } });
}

/** Of one that there is no choice about: what is still to come of it, and what it makes. */
async function costOf(
  context: TransferContext,
  delta: LayerDelta,
  deltas: LayerDeltas,
  facts: { readonly layersLeft: number; readonly concurrency: number },
): Promise<Cost> {
  const { content } = context.store;
  const made = { local: delta.size ?? 0, data: 0, zero: 0 };
  if ((await content.stat(delta.blob.digest)) !== undefined) return { ...made, network: 0, requests: 0 };
  const done = await content.partial(delta.blob.digest);
  const { network, requests } = planFetch(delta.blob, {
    ...facts,
    done,
    ranges: placeOf(context, deltas, delta).ranges(),
  }).cost;
  return { ...made, network, requests };
}
