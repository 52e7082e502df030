/**
 * One layer of a pull: held already, waited for, or fetched by the best plan. Behind the download's front it is unpacked, or its DiffID is
 * checked at least. The blob is published, and what was unpacked may be bound, only when everything holds. A layer that is to be unpacked
 * may come without its blob (without-blob.ts).
 */
import { isVarveError, toError, type VarveError } from "../errors/varve-error.ts";
import type { FrontFile } from "../layer/threads.ts";
import { wholeFile } from "../layer/whole-file.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Plan } from "../plan/plan.ts";
import { assemble, type AssemblyReport } from "../recipe/assembler.ts";
import type { TransferBudget } from "../recipe/limiter.ts";
import type { KnownRates } from "./known-rates.ts";
import type { ContentInfo, Ingest } from "../store/types.ts";
import type { ChunkedSources } from "./chunked/plan-chunked.ts";
import type { Lease } from "../store/leases.ts";
import { isContentVerdict } from "./content-verdict.ts";
import type { TransferContext } from "./context.ts";
import type { DeltaPull } from "./deltas/delta-pull.ts";
import type { ImageUnpacking, LayerWork } from "./image-unpacking.ts";
import type { MadeTars } from "./made-tars.ts";
import { withoutSplit } from "./other-form.ts";
import { planFetch } from "./plan-fetch.ts";
import { giveUpBlob, isWanted, takeBlobBack } from "./given-up.ts";
import { LayerStory } from "./layer-story.ts";
import { isChecked, presentResult, resultOf, type LayerTask } from "./present-layer.ts";
import type { LayerResult } from "./pull-result.ts";
import type { Tally } from "./tally.ts";
import { verifyLayer, type Verified } from "./verify-layer.ts";
import { watchOther } from "./watch-other.ts";

export interface FetchOptions {
  readonly budget: TransferBudget;
  /** Lower is served first. */
  readonly priority: number;
  /** Layers of this pull that are not done yet. */
  readonly layersLeft: () => number;
  /** Whether DiffIDs are checked. */
  readonly check: boolean;
  /** Where layers are unpacked to. Default: nowhere. */
  readonly unpacking?: ImageUnpacking;
  /** Whether blobs are wanted for nothing but unpacking. Default false. */
  readonly discards?: boolean;
  /** Whether other processes at the same blob are waited for. */
  readonly wait: boolean;
  readonly tally: Tally;
  /** Told of tars that are of no use once their layers are bound. */
  readonly tars?: MadeTars;
  /** What layers may be made of; opened when it is asked for first. Default: their blobs, and nothing else. */
  readonly sources?: () => Promise<ChunkedSources>;
  /** What layers may be made with by deltas; opened when it is asked for first. Default: nothing. */
  readonly deltas?: () => Promise<DeltaPull | undefined>;
  /** Whether these are the only way to them, since they are of a delta image. Default false. */
  readonly isDeltaImage?: boolean;
  /** Protects what comes. */
  readonly lease?: Pick<Lease, "add" | "drop">;
  /** How the registry was before the first layer. Default: unknown. */
  readonly rates?: KnownRates;
  /** Filled with what is to be done once a layer is bound, by DiffID. */
  readonly afterBound?: Map<Digest, () => Promise<void>>;
  /** Cancels this layer when another one has failed. */
  readonly signal: AbortSignal;
}

export interface LayerOutcome {
  readonly result: LayerResult;
  /** Bytes that an earlier try had left. */
  readonly resumedBytes: number;
}

export interface TryOptions extends FetchOptions {
  /** Default: as the threads do. */
  readonly decompressor?: "builtin";
  /** Of the tries before. */
  readonly story: LayerStory;
}

/** What comes out wrong, or is announced so, is tried once more: a proxy or a disk may have erred. */
const TRIES = 2;

export async function fetchLayer(
  context: TransferContext,
  task: LayerTask,
  options: FetchOptions,
): Promise<LayerOutcome> {
  const story = new LayerStory(task.blob.digest, context.onProgress);
  for (let attempt = 1; ;) {
    try {
      const decompressor = attempt > 1 && { decompressor: "builtin" as const };
      const outcome = await tryLayer(context, task, { ...options, story, ...decompressor });
      if (outcome === "left") continue;
      if (story.hasLeftPieces) await dropPieces(context, task);
      return story.end(outcome);
    } catch (error) {
      if (!isVarveError(error) || attempt === TRIES || !(await isDoubtful(context, task, error))) throw error;
      attempt++;
      const from = error.code === "DECOMPRESSOR_FAILED" ? "the other decompressor" : "first try";
      context.onProgress({ type: "fallback", digest: task.blob.digest, from, reason: error.message });
    }
  }
}

/** What came of a layer's tar before its blob came. */
async function dropPieces({ store, signal }: TransferContext, { diffId }: LayerTask): Promise<void> {
  if (diffId === undefined || (await store.content.partial(diffId)).length === 0) return;
  const { dropIngest } = await import("./drop-ingest.ts");
  await dropIngest(store, diffId, signal);
}

/** Whether another try may come out better. */
async function isDoubtful(
  { registry, store, signal }: TransferContext,
  { blob: { digest } }: LayerTask,
  error: VarveError,
): Promise<boolean> {
  if (isVarveError(error, "DECOMPRESSOR_FAILED")) return true;
  if (isVarveError(error, "DIGEST_MISMATCH") || isVarveError(error, "SIZE_MISMATCH")) {
    registry.distrust(digest);
    return true;
  }
  // What was fetched and condemned is gone by now. What still lies here was good once: then the disk has erred.
  return isContentVerdict(error) && (await store.content.removeDamaged(digest, { signal }));
}

/** @returns `left` when a way was tried that does not lead there; it is not tried again */
async function tryLayer(
  context: TransferContext,
  task: LayerTask,
  options: TryOptions,
): Promise<LayerOutcome | "left"> {
  const { unpacking, wait, discards = false } = options;
  if (unpacking === undefined || task.diffId === undefined) return getBlob(context, task, options);
  const waiting = new AbortController();
  const onWait = (): void => void watchOther(context, task.blob, waiting.signal);
  await using work = await unpacking.begin(task.diffId, { wait, onWait }).finally(() => waiting.abort());
  if (!work.needed) {
    // A delta makes tars: the blob of a layer that is held, or being unpacked under another blob's name, comes from nowhere.
    const isElsewhere = options.isDeltaImage === true && task.blob.digest !== task.diffId;
    if (!(await (isElsewhere ? isHere(context, task) : isWanted(context, task, discards)))) {
      // Who has made it of pieces keeps its tar for those who are at the same layer.
      const tar = await context.store.content.stat(task.diffId);
      if (tar !== undefined) options.tars?.add(task.diffId, tar.size);
      return giveUpBlob(context, task);
    }
    return await getBlob(context, task, options);
  }
  const { getWithoutBlob } = await import("./without-blob.ts");
  const got = await getWithoutBlob(context, { ...task, diffId: task.diffId }, options, work);
  return got ?? (await getLayer(context, task, options, work));
}

async function isHere({ store }: TransferContext, { blob }: LayerTask): Promise<boolean> {
  return (await store.content.stat(blob.digest)) !== undefined;
}

/** One that is not to be unpacked: its blob, or what a delta image has instead of one. */
async function getBlob(context: TransferContext, task: LayerTask, options: TryOptions): Promise<LayerOutcome | "left"> {
  const { diffId } = task;
  const deltas = options.isDeltaImage === true ? await options.deltas?.() : undefined;
  if (deltas === undefined || diffId === undefined) return getLayer(context, task, options, undefined);
  const { getTar } = await import("./without-blob.ts");
  const got = await getTar(context, { ...task, diffId }, deltas, options);
  return got ?? (await getLayer(context, task, options, undefined));
}

async function getLayer(
  context: TransferContext,
  task: LayerTask,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome> {
  const { onProgress } = context;
  const { blob } = task;
  const place = await takePlace(context, blob, options);
  if (!("commit" in place)) return presentLayer(context, task, place, options, work);
  await using ingest = place;
  const plan = planFetch(blob, {
    done: ingest.resumed,
    ranges: context.registry.supportsRanges(task.reference),
    layersLeft: options.layersLeft(),
    concurrency: options.budget.concurrency,
  });
  const resumed = ingest.resumed.reduce((sum, { start, end }) => sum + end - start, 0);
  onProgress({ type: "layer-start", digest: blob.digest, total: blob.size, resumed });
  const [assembly, verified] = await assembleAndVerify(context, task, ingest, plan, options, work);
  // First the record, which is true of these bytes wherever they are: who waits for the blob then need not check it again.
  if (verified !== undefined) await recordLayer(context, task, verified);
  else await takeBlobBack(context.store, blob.digest);
  await ingest.commit(assembly);
  work?.done(verified?.unpacked);
  onProgress({
    type: "layer-done",
    digest: blob.digest,
    total: blob.size,
    ...(verified && { diffId: verified.diffId }),
  });
  const { bytes, requests, fallbacks, resumedBytes } = assembly;
  const result = resultOf(task, { how: resumedBytes > 0 ? "resumed" : "full", bytes, requests, fallbacks });
  return { result, resumedBytes };
}

/** The blob's ingest, or the blob when it is there; perhaps after another process is done with it. */
async function takePlace(
  context: TransferContext,
  blob: Descriptor,
  { signal, wait }: FetchOptions,
): Promise<Ingest | ContentInfo> {
  const waiting = new AbortController();
  const onWait = (): void => void watchOther(context, blob, waiting.signal);
  try {
    return await context.store.content.ingest(blob, { signal, wait, onWait, check: "later" });
  } finally {
    waiting.abort();
  }
}

/**
 * Runs both at once. When the check fails while the download goes on, the download is seen through: if its digest turns out
 * wrong, that is what happened; if it is right, the image itself is broken, and its bytes are not kept.
 */
async function assembleAndVerify(
  context: TransferContext,
  task: LayerTask,
  ingest: Ingest,
  plan: Plan,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<[AssemblyReport, Verified | undefined]> {
  const verifying = options.check ? verify(context, task, ingest, options, work) : undefined;
  const [assembled, checked] = await Promise.allSettled([
    assemble(plan.recipe, {
      ingest,
      blobs: options.tally.counting(context.registry.blobs(task.reference)),
      budget: options.budget,
      concurrency: options.budget.concurrency,
      priority: options.priority,
      signal: options.signal,
      onProgress: context.onProgress,
    }),
    verifying,
  ]);
  if (assembled.status === "rejected") throw toError(assembled.reason);
  if (checked.status === "rejected") {
    // A verdict on the content condemns the bytes; a check that was only cut off says nothing against them.
    if (isContentVerdict(checked.reason)) await ingest.discard();
    else await ingest.commit(assembled.value);
    throw toError(checked.reason);
  }
  return [assembled.value, checked.value];
}

async function verify(
  context: TransferContext,
  task: LayerTask,
  file: FrontFile,
  { signal, decompressor, discards = false }: TryOptions,
  work: LayerWork | undefined,
): Promise<Verified | undefined> {
  const { diffId } = task;
  if (diffId === undefined) return undefined;
  return verifyLayer(context, { ...task, diffId }, file, {
    signal,
    target: discards ? work?.target : withoutSplit(work?.target),
    ...(decompressor !== undefined && { decompressor }),
  });
}

/** What is held is not fetched. It is unpacked where that is wanted; else its DiffID is checked unless that was done before. */
async function presentLayer(
  context: TransferContext,
  task: LayerTask,
  content: ContentInfo,
  options: TryOptions,
  work: LayerWork | undefined,
): Promise<LayerOutcome> {
  const known = !options.check || (await isChecked(context, task));
  let verified: Verified | undefined;
  if (!known || work?.target !== undefined) {
    context.onProgress({ type: "layer-verified", digest: task.blob.digest, total: content.size });
    verified = await verify(context, task, wholeFile(content), options, work);
    if (!known && verified !== undefined) await recordLayer(context, task, verified);
  }
  work?.done(verified?.unpacked);
  return { result: presentResult(context, task), resumedBytes: 0 };
}

async function recordLayer({ store }: TransferContext, { blob }: LayerTask, check: Verified): Promise<void> {
  const { digest, mediaType, size } = blob;
  const { diffId, entries, size: uncompressedSize } = check;
  await store.layers.put({ digest, diffId, mediaType, size, uncompressedSize, entries, verifiedAt: new Date() });
}
