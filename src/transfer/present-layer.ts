/** Layers that are held already, and what a report says of a layer. Apart from fetching them, which a pull that is up to date never loads. */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Reference } from "../oci/reference.ts";
import { noBytes } from "../recipe/bytes.ts";
import type { TransferContext } from "./context.ts";
import type { LayerResult } from "./pull-result.ts";

export interface LayerTask {
  readonly reference: Reference;
  readonly blob: Descriptor;
  /** Undefined for the layers of artifacts. */
  readonly diffId: Digest | undefined;
}

/** A layer of an image, of which it is known what it unpacks to. */
export interface UnpackTask extends LayerTask {
  readonly diffId: Digest;
}

/**
 * Whether there is nothing to do for a layer; of a store that nobody removes it from.
 * @param unpacked whether it is held unpacked, so that its blob may have been given up
 */
export async function isPresent(
  context: TransferContext,
  task: LayerTask,
  check: boolean,
  unpacked: boolean,
): Promise<boolean> {
  const content = await context.store.content.stat(task.blob.digest);
  if (content === undefined) return unpacked && (await isGivenUp(context, task));
  return content.size === task.blob.size && (!check || (await isChecked(context, task)));
}

/** Whether the layer's DiffID was computed before, and is the one that the config says. */
export async function isChecked({ store }: TransferContext, { blob, diffId }: LayerTask): Promise<boolean> {
  if (diffId === undefined) return true;
  const known = await store.layers.get(blob.digest);
  return known?.diffId === diffId && known.verifiedAt.getTime() > 0;
}

/** Whether the blob of a layer that is held unpacked is not to be fetched: it was given up on purpose. */
async function isGivenUp({ store }: TransferContext, { blob, diffId }: LayerTask): Promise<boolean> {
  const known = await store.layers.get(blob.digest);
  return known !== undefined && known.diffId === diffId && known.discardedAt !== undefined;
}

/** Tells that a layer is here, and what a report says of it. */
export function presentResult(context: TransferContext, task: LayerTask): LayerResult {
  context.onProgress({ type: "layer-present", digest: task.blob.digest, total: task.blob.size });
  return resultOf(task, { how: "present" });
}

export function resultOf(task: LayerTask, facts: Partial<LayerResult> & Pick<LayerResult, "how">): LayerResult {
  const { digest, mediaType, size } = task.blob;
  return {
    digest,
    diffId: task.diffId ?? null,
    mediaType,
    size,
    bytes: noBytes(),
    requests: 0,
    fallbacks: [],
    unpack: null,
    ...facts,
  };
}
