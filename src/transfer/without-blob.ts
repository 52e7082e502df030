/** Ways to a layer that is to be unpacked and whose blob is not here, other than fetching that blob. */
import type { Cost } from "../plan/plan.ts";
import type { TransferContext } from "./context.ts";
import type { DeltaPull } from "./deltas/delta-pull.ts";
import type { LayerOutcome, TryOptions } from "./fetch-layer.ts";
import { giveUpBlob } from "./given-up.ts";
import type { LayerWork } from "./image-unpacking.ts";
import { mayBeChunked } from "./chunked/may-be-chunked.ts";
import { findOtherForm, unpackOtherForm, type OtherForm } from "./other-form.ts";
import type { UnpackTask } from "./present-layer.ts";

/** @returns undefined when the blob is to be fetched; `left` when a way was tried in vain, and the place to unpack to is spoilt */
export async function getWithoutBlob(
  context: TransferContext,
  task: UnpackTask,
  options: TryOptions,
  work: LayerWork,
): Promise<LayerOutcome | "left" | undefined> {
  const { store } = context;
  if ((await store.content.stat(task.blob.digest)) !== undefined) return undefined;
  const form = options.story.mayTry("other-form") ? await findOtherForm(store, task) : undefined;
  if (form !== undefined) return takeOtherForm(context, task, form, options, work);
  const deltas = await options.deltas?.();
  if (deltas !== undefined) return getByDeltas(context, task, deltas, options, work);
  return tryChunked(context, task, options, work);
}

/** The same for a layer whose blob is not wanted, since its tar is: of a delta image that is only to be had, not unpacked. */
export async function getTar(
  context: TransferContext,
  task: UnpackTask,
  deltas: DeltaPull,
  options: TryOptions,
): Promise<LayerOutcome | "left" | undefined> {
  if ((await context.store.content.stat(task.blob.digest)) !== undefined) return undefined;
  return getByDeltas(context, task, deltas, options, undefined);
}

async function getByDeltas(
  context: TransferContext,
  task: UnpackTask,
  deltas: DeltaPull,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | "left" | undefined> {
  const { story, rates = {} } = options;
  const { chooseDelta } = await import("./deltas/choose-delta.ts");
  const { concurrency } = options.budget;
  const choice = await chooseDelta(context, task, deltas, {
    story,
    rates,
    layersLeft: options.layersLeft(),
    concurrency,
  });
  if (choice?.way === "held-tar") return takeHeldTar(context, task, deltas, options, work);
  const beats = choice?.way === "delta" ? choice.beats : undefined;
  if (work !== undefined && !deltas.deltas.isOnlyWay) {
    const got = await tryChunked(context, task, options, work, beats);
    if (got !== undefined) return got;
  }
  if (choice?.way === "none") story.why ??= choice.why;
  if (choice?.way !== "delta") return undefined;
  const { getByDelta } = await import("./deltas/get-by-delta.ts");
  return getByDelta(context, task, choice.delta, deltas, options, work);
}

async function takeHeldTar(
  context: TransferContext,
  task: UnpackTask,
  deltas: DeltaPull,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | "left"> {
  const { copyTar } = await import("./deltas/copy-tar.ts");
  const outcome = await copyTar(context, task, deltas, options, work);
  if (outcome === "made") return "left";
  if ("result" in outcome) return outcome;
  if (deltas.deltas.isOnlyWay) throw outcome;
  options.story.leave("held-tar", { from: "the tar that is held", reason: `${outcome.code}: ${outcome.message}` });
  return "left";
}

async function takeOtherForm(
  context: TransferContext,
  task: UnpackTask,
  form: OtherForm,
  { signal, story, tars }: TryOptions,
  work: LayerWork,
): Promise<LayerOutcome | "left"> {
  const unpacked = await unpackOtherForm(context, task, form, { signal, target: work.target });
  if ("left" in unpacked) {
    const from = form.isTar ? "the tar that is here" : "the same layer in another compression";
    story.leave("other-form", { from, reason: unpacked.left });
    return "left";
  }
  // Who was cut off may have left it.
  if (form.blob === task.diffId) tars?.add(form.blob, form.size);
  const outcome = await giveUpBlob(context, task, unpacked);
  work.done(unpacked.unpacked);
  return outcome;
}

async function tryChunked(
  context: TransferContext,
  task: UnpackTask,
  options: TryOptions,
  work: LayerWork,
  beats?: (cost: Cost) => boolean,
): Promise<LayerOutcome | "left" | undefined> {
  const { story, tally, sources, rates = {} } = options;
  if (!story.mayTry("chunked") || sources === undefined || !mayBeChunked(task.blob)) return undefined;
  const { planChunked } = await import("./chunked/plan-chunked.ts");
  const choice = await planChunked(context, task, {
    sources,
    rates,
    blobs: story.tally.counting(tally.counting(context.registry.blobs(task.reference))),
    layersLeft: options.layersLeft(),
    concurrency: options.budget.concurrency,
    signal: options.signal,
    ...(beats !== undefined && { beats }),
  });
  if (choice === undefined) return undefined;
  if ("plain" in choice) {
    story.why = choice.why;
    if (choice.fallback !== undefined) story.leave("chunked", choice.fallback);
    return undefined;
  }
  await using chunked = choice;
  const { makeLayer } = await import("./make-layer.ts");
  const outcome = await makeLayer(context, task, chunked, options, work);
  if ("result" in outcome) return outcome;
  story.leave("chunked", { from: chunked.how, reason: `${outcome.code}: ${outcome.message}` });
  return "left";
}
