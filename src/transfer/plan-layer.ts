/** How a layer of an image would come, without moving it: what `pull --plan` tells, found out as the pull itself does. */
import type { Cost } from "../plan/plan.ts";
import type { KnownRates } from "./known-rates.ts";
import { mayBeChunked } from "./chunked/may-be-chunked.ts";
import type { BetterPlain, ChunkedPlan, ChunkedSources } from "./chunked/plan-chunked.ts";
import type { DeltaChoice } from "./deltas/choose-delta.ts";
import type { DeltaPull } from "./deltas/delta-pull.ts";
import type { TransferContext } from "./context.ts";
import { isWanted } from "./given-up.ts";
import { findOtherForm } from "./other-form.ts";
import { planFetch } from "./plan-fetch.ts";
import { resultOf, type LayerTask, type UnpackTask } from "./present-layer.ts";
import type { LayerResult } from "./pull-result.ts";
import { Tally } from "./tally.ts";

export interface PlanLayerOptions {
  /** Layers that are still to be fetched, this one too. */
  readonly layersLeft: number;
  /** Transfers at once. */
  readonly concurrency: number;
  /** Whether layers are to be unpacked, and can be here; to find that out costs something. */
  readonly unpacks: () => Promise<boolean>;
  /** Whether this one is held unpacked. */
  readonly isUnpacked: boolean;
  readonly discards: boolean;
  /** What layers may be made of. */
  readonly sources: () => Promise<ChunkedSources>;
  /** How the registry was before the first layer. */
  readonly rates: KnownRates;
  /** What layers may be made with by deltas. Default: nothing. */
  readonly deltas?: () => Promise<DeltaPull | undefined>;
}

export async function planLayer(
  context: TransferContext,
  task: LayerTask,
  options: PlanLayerOptions,
): Promise<LayerResult> {
  const { store, registry } = context;
  const { blob, diffId, reference } = task;
  if ((await store.content.stat(blob.digest))?.size === blob.size) {
    return resultOf(task, { how: "present", why: "the store has it" });
  }
  if (options.isUnpacked && !(await isWanted(context, task, options.discards))) {
    return resultOf(task, { how: "present", why: "the store has it unpacked" });
  }
  if (!options.isUnpacked && diffId !== undefined) {
    const form = await findOtherForm(store, { blob, diffId });
    if (form !== undefined && (await options.unpacks())) {
      const why = form.isTar ? "the store has its tar" : "the store has it in another compression";
      return resultOf(task, { how: "present", why });
    }
  }
  const unpackTask = options.isUnpacked || diffId === undefined ? undefined : { ...task, diffId };
  const toc = new Tally();
  const delta = unpackTask && (await planDelta(context, unpackTask, options));
  if (delta?.way === "held-tar") return resultOf(task, { how: "present", why: "it is rebuilt from where it is held" });
  const beats = delta?.way === "delta" ? delta.beats : undefined;
  const choice = unpackTask && (await planWithoutBlob(context, unpackTask, toc, options, beats));
  if (choice !== undefined && !("plain" in choice)) {
    await using chunked = choice;
    return plannedResult(task, { ...chunked.plan, how: chunked.how, why: chunked.why }, toc);
  }
  if (delta?.way === "delta") {
    const { cost, why } = delta;
    return plannedResult(task, { cost, how: delta.delta.how, why }, toc);
  }
  const done = await store.content.partial(blob.digest);
  const plan = planFetch(blob, { ...options, done, ranges: registry.supportsRanges(reference) });
  const why = choice === undefined ? plan.why : `${plan.why}; ${choice.why}`;
  const { fallback } = choice ?? {};
  const how = plan.how === "resumed" ? "resumed" : "full";
  return plannedResult(task, { cost: plan.cost, how, why, fallbacks: fallback === undefined ? [] : [fallback] }, toc);
}

/** As `getWithoutBlob` does it. What is fetched is counted in `toc`: the pull fetches it too. */
async function planWithoutBlob(
  context: TransferContext,
  task: UnpackTask,
  toc: Tally,
  { sources, rates, layersLeft, concurrency, unpacks }: PlanLayerOptions,
  beats: ((cost: Cost) => boolean) | undefined,
): Promise<ChunkedPlan | BetterPlain | undefined> {
  if (!mayBeChunked(task.blob) || !(await unpacks())) return undefined;
  const { registry, signal } = context;
  const { planChunked } = await import("./chunked/plan-chunked.ts");
  const blobs = toc.counting(registry.blobs(task.reference));
  return planChunked(context, task, {
    sources,
    blobs,
    rates,
    layersLeft,
    concurrency,
    signal,
    ...(beats && { beats }),
  });
}

/** As `getByDeltas` does it: of a delta image layers are made wherever they go to. */
async function planDelta(
  context: TransferContext,
  task: UnpackTask,
  { deltas, rates, layersLeft, concurrency, unpacks }: PlanLayerOptions,
): Promise<DeltaChoice | undefined> {
  const pull = await deltas?.();
  if (pull === undefined) return undefined;
  const { chooseDelta } = await import("./deltas/choose-delta.ts");
  return chooseDelta(context, task, pull, { rates, layersLeft, concurrency, unpacks });
}

function plannedResult(
  task: LayerTask,
  plan: Pick<LayerResult, "how"> & Partial<LayerResult> & { readonly cost: Cost },
  toc: Tally,
): LayerResult {
  const { cost, how, why = "", fallbacks = [] } = plan;
  const { local, data, zero } = cost;
  const bytes = { network: cost.network + toc.network, local, data, zero };
  return resultOf(task, { how, why, fallbacks, bytes, requests: cost.requests + toc.requests });
}
