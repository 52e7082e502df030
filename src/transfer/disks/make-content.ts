/**
 * One content of a disk, made in its place: from another disk, from its blob in the store, or from the registry, going on where an earlier try
 * stopped. What comes out wrong is dropped, and got whole once more.
 */
import type { ErrorCode } from "../../errors/table.ts";
import { isVarveError, type VarveError } from "../../errors/varve-error.ts";
import type { DiskChunk } from "../../codec/tart/disk-image.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";
import { planContent } from "../../plan/disk-content.ts";
import type { Plan } from "../../plan/plan.ts";
import { assemble, type AssemblyReport, type Replanned } from "../../recipe/assembler.ts";
import type { ByteCounts } from "../../recipe/bytes.ts";
import type { TransferBudget } from "../../recipe/limiter.ts";
import type { DiskContent, DiskWindow, PartialDisk } from "../../store/disks/types.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { recordFound } from "../given-up.ts";
import type { Fallback } from "../pull-result.ts";
import { Tally } from "../tally.ts";
import type { ContentLeft, ContentPlan } from "./content-plans.ts";
import type { DiskMeter } from "./disk-meter.ts";
import { storeFirst } from "./store-first.ts";

export type NamedChunk = DiskChunk & { readonly digest: Digest };

export interface ContentTask {
  readonly reference: Reference;
  readonly chunk: NamedChunk;
  readonly disk: PartialDisk;
  /** Of its first byte in the disk. */
  readonly offset: number;
  /** How it is made, given what an earlier try has left of it. */
  readonly plan: (left: ContentLeft) => ContentPlan;
}

export interface MakeOptions {
  readonly budget: TransferBudget;
  /** Lower is served first. */
  readonly priority: number;
  readonly meter: DiskMeter;
  readonly tally: Tally;
  readonly signal: AbortSignal;
}

export interface MadeContent {
  readonly plan: Plan;
  readonly bytes: ByteCounts;
  readonly requests: number;
  readonly fallbacks: readonly Fallback[];
  /** Bytes that an earlier try had left, and that held. */
  readonly resumedBytes: number;
}

/** What comes out wrong, or is announced so, is tried once more: what was left may be bad, a proxy or a disk may have erred. */
const TRIES = 2;
const WRONG: ReadonlySet<ErrorCode> = new Set(["DIGEST_MISMATCH", "SIZE_MISMATCH", "COMPRESSION_INVALID"]);

/** @throws VarveError `DIGEST_MISMATCH`, `SIZE_MISMATCH`, `COMPRESSION_INVALID` when it came wrong twice; as `assemble` */
export async function makeContent(
  context: TransferContext,
  task: ContentTask,
  options: MakeOptions,
): Promise<MadeContent> {
  const { onProgress, registry, store, signal } = context;
  const { blob } = task.chunk;
  const own = new Tally();
  const fallbacks: Fallback[] = [];
  for (let attempt = 1; ; attempt++) {
    try {
      const again = { ...task, plan: (left: ContentLeft) => wholePlan(task.chunk, left) };
      const made = await tryContent(context, attempt === 1 ? task : again, options, own);
      const { plan, report } = made;
      if (made.isOfBlob) await recordMade(context, task.chunk);
      return {
        plan,
        // What tries that failed have received counts too.
        bytes: { ...madeBytes(plan, report), network: own.network },
        requests: own.requests,
        fallbacks: [...fallbacks, ...report.fallbacks],
        resumedBytes: report.resumedBytes,
      };
    } catch (error) {
      if (attempt === TRIES || !isVarveError(error) || !WRONG.has(error.code)) throw error;
      registry.distrust(blob.digest);
      await dropDamaged(store, blob.digest, signal);
      const fallback = { from: "first try", reason: error.message };
      fallbacks.push(fallback);
      onProgress({ type: "fallback", digest: blob.digest, ...fallback });
    }
  }
}

/** What somebody is at work on is his to mend; and what a manifest calls a blob may have the name of the disk that is locked here. */
async function dropDamaged({ content }: Store, digest: Digest, signal: AbortSignal): Promise<void> {
  if ((await content.stat(digest)) === undefined) return;
  try {
    await content.removeDamaged(digest, { signal, wait: false });
  } catch (error) {
    if (!isVarveError(error, "STORE_BUSY")) throw error;
  }
}

interface Tried {
  readonly plan: Plan;
  readonly report: AssemblyReport;
  /** The blob was read from its beginning to its end, and nothing else. */
  readonly isOfBlob: boolean;
}

async function tryContent(
  context: TransferContext,
  { reference, chunk, disk, offset, plan: planWith }: ContentTask,
  { budget, priority, meter, tally, signal }: MakeOptions,
  own: Tally,
): Promise<Tried> {
  const { digest, size } = chunk;
  const content: DiskContent = { digest, size, offset };
  await using window = await disk.window(content, { blob: chunk.blob.digest, check: "later", signal });
  const { plan, source } = planWith({ held: window.resumed, checkpoints: window.checkpoints });
  const progress = meter.content(window.resumed.reduce((sum, { start, end }) => sum + end - start, 0));
  try {
    const report = await assemble(plan.recipe, {
      ingest: window,
      blobs: storeFirst(context.store, own.counting(tally.counting(context.registry.blobs(reference)))),
      budget,
      concurrency: budget.concurrency,
      priority,
      signal,
      onProgress: progress.onProgress,
      replan: (error): Replanned | undefined =>
        source === undefined || !mayBeTheSource(error)
          ? undefined
          : { recipe: planContent(chunk).recipe, from: source },
    });
    await window.commit(report);
    const isOfBlob = source === undefined && report.resumedBytes === 0 && report.fallbacks.length === 0;
    return { plan, report, isOfBlob };
  } catch (error) {
    progress.undo();
    // Nobody knows which of its bytes are bad.
    if (isVarveError(error) && WRONG.has(error.code)) await discard(window);
    throw error;
  }
}

/** What is known of the blob is then no claim of its image any more. */
async function recordMade({ store }: TransferContext, { blob, digest: diffId, size }: NamedChunk): Promise<void> {
  if ((await store.content.stat(blob.digest)) === undefined) await recordFound(store, blob, { diffId, size });
}

/** Of the content's blob alone. */
function wholePlan(chunk: NamedChunk, left: ContentLeft): ContentPlan {
  return { plan: planContent(chunk, left), source: undefined };
}

/** Whether the content may still come whole: pieces and other disks may be wrong, and blobs' ranges not be served. */
function mayBeTheSource({ code }: VarveError): boolean {
  return code === "SOURCE_CHANGED" || WRONG.has(code);
}

/** Bytes that came of a blob of the store are local ones, though they are not read as they are. */
function madeBytes({ cost }: Plan, { bytes, fallbacks }: AssemblyReport): ByteCounts {
  const isFromBlob = cost.network === 0 && fallbacks.length === 0;
  return isFromBlob ? { ...bytes, local: cost.local, zero: cost.zero, data: cost.data } : { ...bytes };
}

/** It may have been done already. */
async function discard(window: DiskWindow): Promise<void> {
  await window.discard().catch(() => undefined);
}
