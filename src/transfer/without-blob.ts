/** Ways to a layer that is to be unpacked and whose blob is not here, other than fetching that blob. */
import type { TransferContext } from "./context.ts";
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
  return options.story.mayTry("chunked") ? tryChunked(context, task, options, work) : undefined;
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
): Promise<LayerOutcome | "left" | undefined> {
  const { story, tally, sources, rates = {} } = options;
  if (sources === undefined || !mayBeChunked(task.blob)) return undefined;
  const { planChunked } = await import("./chunked/plan-chunked.ts");
  const choice = await planChunked(context, task, {
    sources,
    rates,
    blobs: story.tally.counting(tally.counting(context.registry.blobs(task.reference))),
    layersLeft: options.layersLeft(),
    concurrency: options.budget.concurrency,
    signal: options.signal,
  });
  if (choice === undefined) return undefined;
  if ("plain" in choice) {
    story.why = choice.why;
    if (choice.fallback !== undefined) story.leave("chunked", choice.fallback);
    return undefined;
  }
  await using chunked = choice;
  const { getChunked } = await import("./chunked/get-chunked.ts");
  const outcome = await getChunked(context, task, chunked, options, work);
  if ("result" in outcome) return outcome;
  story.leave("chunked", { from: chunked.format.how, reason: `${outcome.code}: ${outcome.message}` });
  return "left";
}
