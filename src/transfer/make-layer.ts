/**
 * A layer's tar made in the ingest of its DiffID, of what is here and of what comes (pieces of its blob, a delta), and unpacked behind the front while
 * it is made. Nothing that the plan relies on is relied upon here: only the whole's digest, which is the DiffID of the image's config, lets
 * the tar be published and what was unpacked of it be bound. The blob itself never is here, unless the tar is the blob: it was given up (given-up.ts).
 */
import { toVarveError } from "../errors/from-system.ts";
import { toError, VarveError } from "../errors/varve-error.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import type { LayerTarget } from "../layer/layer-target.ts";
import { placeTar } from "../layer/place-tar.ts";
import type { Digest } from "../oci/digest.ts";
import { assemble, type AssemblyReport } from "../recipe/assembler.ts";
import type { ProgressSink } from "../recipe/progress.ts";
import type { ContentInfo, Ingest } from "../store/types.ts";
import { isContentVerdict } from "./content-verdict.ts";
import type { TransferContext } from "./context.ts";
import { dropIngest } from "./drop-ingest.ts";
import type { LayerOutcome, TryOptions } from "./fetch-layer.ts";
import { recordGivenUp, takeBlobBack } from "./given-up.ts";
import type { LayerWork } from "./image-unpacking.ts";
import { overTar, withoutSplit } from "./other-form.ts";
import { resultOf, type UnpackTask } from "./present-layer.ts";
import { Tally } from "./tally.ts";
import { verifyLayer, type Verified } from "./verify-layer.ts";
import { isHopeless } from "./chunked/hopeless.ts";
import type { TarPlan } from "./deltas/types.ts";

/**
 * @returns the error that stands in the way of this way and of no other; what came of the tar is kept
 * @throws what stands in the way of every way
 */
export async function makeLayer(
  context: TransferContext,
  task: UnpackTask,
  tarPlan: TarPlan,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome | VarveError> {
  const { plan, how, why } = tarPlan;
  const place = await takeIngest(context, task, plan.recipe.target.size, options);
  if (place instanceof VarveError) return place;
  if (!("commit" in place)) return madeMeanwhile();
  await using ingest = place;
  tarPlan.goOn?.(ingest);
  const stays = isOwnBlob(task) && options.discards !== true;
  const target = overTar(stays ? withoutSplit(work?.target) : work?.target, ingest.path);
  const made = await makeTar(context, task, ingest, { ...options, tarPlan, target });
  if (made instanceof VarveError) return made;
  const [assembly, verified] = made;
  const tar = await ingest.commit(assembly);
  if (target?.form === "erofs") await placeTar(tar.path, target.directory);
  const { size } = assembly;
  const layer = verified ?? { diffId: task.diffId, size, entries: 0 };
  if (isOwnBlob(task)) await recordTar(context, task, verified);
  else await recordGivenUp(context.store, task.blob, layer);
  options.tars?.add(task.diffId, size);
  options.afterBound?.set(task.diffId, tarPlan.remember);
  work?.done(verified?.unpacked);
  const { digest } = task.blob;
  context.onProgress({ type: "layer-done", digest, total: size, diffId: task.diffId });
  const { bytes, requests, fallbacks, resumedBytes } = assembly;
  return { result: resultOf(task, { how, bytes, requests, fallbacks, why }), resumedBytes };
}

/** Whether the tar is what the image has as its layer. */
function isOwnBlob({ blob, diffId }: UnpackTask): boolean {
  return blob.digest === diffId;
}

/** @param layer as it was found when it was read; undefined where nobody has read it */
async function recordTar({ store }: TransferContext, { blob }: UnpackTask, layer?: LayerCheck): Promise<void> {
  if (layer === undefined) return takeBlobBack(store, blob.digest);
  const { digest, mediaType, size } = blob;
  const { diffId, entries } = layer;
  await store.layers.put({ digest, diffId, mediaType, size, uncompressedSize: size, entries, verifiedAt: new Date() });
}

/** The tar's ingest, or the tar when it is there; the error when no file can be of the size that the plan says. */
async function takeIngest(
  { store }: TransferContext,
  { diffId }: UnpackTask,
  size: number,
  { signal, wait }: TryOptions,
): Promise<Ingest | ContentInfo | VarveError> {
  try {
    return await store.content.ingest({ digest: diffId, size }, { signal, wait, check: "later" });
  } catch (thrown) {
    const error = toVarveError(thrown);
    if (signal.aborted || isHopeless(error)) throw error;
    await dropIngest(store, diffId, signal);
    return error;
  }
}

interface MakeOptions extends TryOptions {
  readonly tarPlan: TarPlan;
  readonly target: LayerTarget | undefined;
}

/** Makes the tar, and unpacks it unless the driver does that as it binds. */
async function makeTar(
  context: TransferContext,
  task: UnpackTask,
  ingest: Ingest,
  options: MakeOptions,
): Promise<[AssemblyReport, Verified | undefined] | VarveError> {
  const { blob, diffId, reference } = task;
  const { signal, budget, priority, tally, target, tarPlan } = options;
  const { plan, replan } = tarPlan;
  const onProgress = namedAs(blob.digest, diffId, context.onProgress);
  const resumed = ingest.resumed.reduce((sum, { start, end }) => sum + end - start, 0);
  onProgress({ type: "layer-start", digest: blob.digest, total: ingest.size, resumed });
  const own = new Tally();
  const blobs = own.counting(tally.counting(context.registry.blobs(reference)));
  const { concurrency } = budget;
  const [assembled, verified] = await Promise.allSettled([
    assemble(plan.recipe, { ingest, blobs, budget, concurrency, priority, signal, onProgress, replan }),
    // One that is kept as a blob is checked as any blob is.
    (target !== undefined || (options.check && isOwnBlob(task))) &&
      verifyLayer(context, task, ingest, { signal, target, isTar: true, vouched: diffId }),
  ]);
  if (assembled.status === "rejected") {
    const error = toVarveError(assembled.reason);
    if (signal.aborted || isHopeless(error)) throw error;
    options.story.tally.add(own);
    return error;
  }
  if (verified.status === "fulfilled") return [assembled.value, verified.value || undefined];
  // The tar is what the image says, so a verdict on its content is one on the image.
  if (isContentVerdict(verified.reason)) await ingest.discard();
  else await ingest.commit(assembled.value);
  throw toError(verified.reason);
}

/** Events of the tar's ingest under the name by which everybody knows the layer. */
function namedAs(blob: Digest, diffId: Digest, tell: ProgressSink): ProgressSink {
  return (event) => tell("digest" in event && event.digest === diffId ? { ...event, digest: blob } : event);
}

/** What was to be made is here: who looks again finds it. */
export function madeMeanwhile(): VarveError {
  return new VarveError("STORE_BUSY", "another process has made the layer's tar meanwhile", { detail: { made: true } });
}
