/** How a layer of an image would come, without moving it: what `pull --plan` tells, found out as the pull itself does. */
import type { TransferContext } from "./context.ts";
import { isWanted } from "./given-up.ts";
import { findOtherForm } from "./other-form.ts";
import { planFetch } from "./plan-fetch.ts";
import { resultOf, type LayerTask } from "./present-layer.ts";
import type { LayerResult } from "./pull-result.ts";

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
  const done = await store.content.partial(blob.digest);
  const ranges = registry.supportsRanges(reference);
  const { cost, how, why } = planFetch(blob, { ...options, done, ranges });
  const { requests, ...bytes } = cost;
  return resultOf(task, { how: how === "resumed" ? "resumed" : "full", bytes, requests, why });
}
