/**
 * One layer of a pull: held already, waited for, or fetched by the best plan; its DiffID is checked behind the download's front.
 * The blob is published only when everything holds.
 */
import type { ErrorCode } from "../errors/table.ts";
import { isVarveError, toError, VarveError } from "../errors/varve-error.ts";
import type { LayerCheck } from "../layer/check-layer.ts";
import type { FrontFile } from "../layer/threads.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm } from "../oci/digest.ts";
import { formatReference } from "../oci/reference.ts";
import type { Plan } from "../plan/plan.ts";
import { assemble, type AssemblyReport } from "../recipe/assembler.ts";
import type { TransferBudget } from "../recipe/limiter.ts";
import type { ContentInfo, Ingest } from "../store/types.ts";
import { isContentVerdict } from "./content-verdict.ts";
import type { TransferContext } from "./context.ts";
import { planFetch } from "./plan-fetch.ts";
import { isChecked, presentResult, resultOf, type LayerTask } from "./present-layer.ts";
import type { LayerResult } from "./pull-result.ts";
import type { Tally } from "./tally.ts";
import { watchOther } from "./watch-other.ts";

export interface FetchOptions {
  readonly budget: TransferBudget;
  /** Lower is served first. */
  readonly priority: number;
  /** Layers of this pull that are not done yet. */
  readonly layersLeft: () => number;
  /** Whether DiffIDs are checked. */
  readonly check: boolean;
  /** Whether other processes at the same blob are waited for. */
  readonly wait: boolean;
  readonly tally: Tally;
  /** Cancels this layer when another one has failed. */
  readonly signal: AbortSignal;
}

export interface LayerOutcome {
  readonly result: LayerResult;
  /** Bytes that an earlier try had left. */
  readonly resumedBytes: number;
}

/** What comes out wrong, or is announced so, is tried once more: a proxy or a disk may have erred. */
const TRIES = 2;

export async function fetchLayer(
  context: TransferContext,
  task: LayerTask,
  options: FetchOptions,
): Promise<LayerOutcome> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await tryLayer(context, task, options);
    } catch (error) {
      if (!isVarveError(error) || !isDoubtful(error.code) || attempt === TRIES) throw error;
      context.registry.distrust(task.blob.digest);
      context.onProgress({ type: "fallback", digest: task.blob.digest, from: "first try", reason: error.message });
    }
  }
}

function isDoubtful(code: ErrorCode): boolean {
  return code === "DIGEST_MISMATCH" || code === "SIZE_MISMATCH";
}

async function tryLayer(context: TransferContext, task: LayerTask, options: FetchOptions): Promise<LayerOutcome> {
  const { onProgress } = context;
  const { blob } = task;
  const place = await takePlace(context, blob, options);
  if (!("commit" in place)) return presentLayer(context, task, place, options);
  await using ingest = place;
  const plan = planFetch(blob, {
    done: ingest.resumed,
    ranges: context.registry.supportsRanges(task.reference),
    layersLeft: options.layersLeft(),
    concurrency: options.budget.concurrency,
  });
  const resumed = ingest.resumed.reduce((sum, { start, end }) => sum + end - start, 0);
  onProgress({ type: "layer-start", digest: blob.digest, total: blob.size, resumed });
  const [assembly, check] = await assembleAndCheck(context, task, ingest, plan, options);
  // First the record, which is true of these bytes wherever they are: who waits for the blob then need not check it again.
  if (check !== undefined) await recordLayer(context, task, check);
  await ingest.commit(assembly);
  onProgress({ type: "layer-done", digest: blob.digest, total: blob.size, ...(check && { diffId: check.diffId }) });
  const { bytes, fallbacks, resumedBytes } = assembly;
  const result = resultOf(task, { how: resumedBytes > 0 ? "resumed" : "full", bytes, fallbacks });
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
async function assembleAndCheck(
  context: TransferContext,
  task: LayerTask,
  ingest: Ingest,
  plan: Plan,
  options: FetchOptions,
): Promise<[AssemblyReport, LayerCheck | undefined]> {
  const checking = options.check ? checkDiffId(context, task, ingest, options.signal) : undefined;
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
    checking,
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

/** What is held is not fetched. Its DiffID is checked unless that was done before. */
async function presentLayer(
  context: TransferContext,
  task: LayerTask,
  content: ContentInfo,
  options: FetchOptions,
): Promise<LayerOutcome> {
  if (options.check && !(await isChecked(context, task))) {
    context.onProgress({ type: "layer-verified", digest: task.blob.digest, total: content.size });
    const whole: FrontFile = {
      path: content.path,
      size: content.size,
      front: content.size,
      waitFront: () => Promise.resolve(),
    };
    const check = await checkDiffId(context, task, whole, options.signal);
    if (check !== undefined) await recordLayer(context, task, check);
  }
  return { result: presentResult(context, task), resumedBytes: 0 };
}

/** @throws VarveError `DIFFID_MISMATCH`, `LAYER_INVALID`, `COMPRESSION_INVALID` */
async function checkDiffId(
  { threads }: TransferContext,
  { blob, diffId, reference }: LayerTask,
  file: FrontFile,
  signal: AbortSignal,
): Promise<LayerCheck | undefined> {
  if (diffId === undefined) return undefined;
  const check = await threads.check(file, { algorithm: digestAlgorithm(diffId), signal });
  if (check.diffId === diffId) return check;
  throw new VarveError(
    "DIFFID_MISMATCH",
    `${formatReference(reference)}: layer ${blob.digest} unpacks to ${check.diffId}, its config says ${diffId}`,
    { detail: { digest: blob.digest, expected: diffId, computed: check.diffId } },
  );
}

async function recordLayer({ store }: TransferContext, { blob }: LayerTask, check: LayerCheck): Promise<void> {
  const { digest, mediaType, size } = blob;
  const { diffId, entries, size: uncompressedSize } = check;
  await store.layers.put({ digest, diffId, mediaType, size, uncompressedSize, entries, verifiedAt: new Date() });
}

/** How this layer would come, without moving anything. */
export async function planLayer(
  { store, registry }: TransferContext,
  task: LayerTask,
  { layersLeft, concurrency }: { readonly layersLeft: number; readonly concurrency: number },
): Promise<LayerResult> {
  const { blob, reference } = task;
  if ((await store.content.stat(blob.digest))?.size === blob.size) {
    return resultOf(task, { how: "present", why: "the store has it" });
  }
  const done = await store.content.partial(blob.digest);
  const { cost, how, why } = planFetch(blob, {
    done,
    ranges: registry.supportsRanges(reference),
    layersLeft,
    concurrency,
  });
  const { network, local, data, zero } = cost;
  return resultOf(task, { how: how === "resumed" ? "resumed" : "full", bytes: { network, local, data, zero }, why });
}
