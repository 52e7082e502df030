/** Ways to a layer that is to be unpacked and whose blob is not here, other than fetching that blob. */
import type { TransferContext } from "./context.ts";
import type { LayerOutcome, TryOptions } from "./fetch-layer.ts";
import { giveUpBlob } from "./given-up.ts";
import type { LayerWork } from "./image-unpacking.ts";
import { findOtherForm, unpackOtherForm } from "./other-form.ts";
import type { UnpackTask } from "./present-layer.ts";

/** @returns undefined when the blob is to be fetched; `left` when a way was tried in vain, and the place to unpack to is spoilt */
export async function getWithoutBlob(
  context: TransferContext,
  task: UnpackTask,
  options: TryOptions,
  work: LayerWork,
): Promise<LayerOutcome | "left" | undefined> {
  const { store } = context;
  const { story, signal, tars } = options;
  if ((await store.content.stat(task.blob.digest)) !== undefined) return undefined;
  const form = story.mayTry("other-form") ? await findOtherForm(store, task) : undefined;
  if (form !== undefined) {
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
  return undefined;
}
