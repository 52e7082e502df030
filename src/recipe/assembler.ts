/**
 * The engine that carries out recipes, whoever planned them: bounded transfers, bounded memory, verification of pieces and
 * always of the whole, a journal, progress, and byte counts by kind.
 *
 * It makes passes. A pass works off what is missing; when a source fails, everything under way is stopped with what it
 * received written down, and the next pass goes on with another recipe, or with the same one over streams instead of
 * ranges. What is done stays done, and those who follow the front of the ingest notice nothing.
 */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { BlobSource } from "../registry/blob-source.ts";
import type { Ingest } from "../store/types.ts";
import type { ByteCounts } from "./bytes.ts";
import { TransferBudget } from "./limiter.ts";
import type { ResumableIngest } from "./linked-blocks.ts";
import { runPass } from "./pass.ts";
import type { ProgressSink } from "./progress.ts";
import type { Recipe } from "./segment.ts";
import { Work } from "./work.ts";

/** So many recipes may fail one after the other. */
const MAX_FALLBACKS = 8;

export interface Fallback {
  /** What did not hold: the name of a plan, or `ranges`. */
  readonly from: string;
  readonly reason: string;
}

export interface AssembleOptions {
  /** One with `checkpoints` is told where streams of Apple LZ4 can be taken up again. */
  readonly ingest: ResumableIngest;
  readonly blobs: BlobSource;
  /** Transfers of this assembly at once. Default 4. */
  readonly concurrency?: number;
  /** For all its buffers. Default 64 MiB. Not used when a `budget` is given. */
  readonly memoryBytes?: number;
  /** Shared by all assemblies of a run. Default: one of its own. */
  readonly budget?: TransferBudget;
  /** Among the assemblies that share the budget, lower goes first. Default 0. */
  readonly priority?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
  /**
   * Asked when a source failed: another recipe for the same target, and the name of the plan that it replaces; or
   * undefined to let the error end the assembly.
   */
  readonly replan?: (error: VarveError) => Promise<Replanned | undefined> | Replanned | undefined;
  /** Milliseconds, for progress rates. Default `performance.now`. */
  readonly clock?: () => number;
}

export interface Replanned {
  readonly recipe: Recipe;
  readonly from: string;
  /** Default: the error's code and message. */
  readonly reason?: string;
}

export interface AssemblyReport {
  /** Computed over all bytes, and equal to the target's. */
  readonly digest: Digest;
  readonly size: number;
  readonly bytes: ByteCounts;
  readonly requests: number;
  readonly retries: number;
  /** Bytes of the target that an earlier try had left. */
  readonly resumedBytes: number;
  readonly fallbacks: readonly Fallback[];
  /** Bytes that were hashed by reading them back, because they came out of order. */
  readonly readBackBytes: number;
}

/**
 * Makes the recipe's target in the ingest. Commits nothing: the caller commits with the report's digest and size.
 *
 * On failure nothing is left under way, the journal has what was done, readers of the ingest have got the error, and the
 * first error is thrown. When the whole does not match, or a stream without digests of its pieces is broken, the partial data is dropped, since nobody
 * knows which byte is bad; the error then has `detail.whole`.
 *
 * @throws VarveError `DIGEST_MISMATCH` of the target, of a piece (then with `detail.segment`), or of a blob that was read from its first byte to its
 * last; `SIZE_MISMATCH`, `COMPRESSION_INVALID`, `RECIPE_INVALID`,
 * `SOURCE_CHANGED` with `detail.segment` when a local file is not what the recipe takes it for, `INTERRUPTED`, `NO_SPACE`,
 * and what the blob source throws
 */
export async function assemble(recipe: Recipe, options: AssembleOptions): Promise<AssemblyReport> {
  const { ingest, signal, onProgress, clock } = options;
  const work = new Work(ingest, { signal, onProgress, clock });
  const fallbacks: Fallback[] = [];
  try {
    checkTarget(recipe, ingest);
    await makePasses(recipe, options, work, fallbacks);
    const computed = await work.finish();
    checkWhole(computed, ingest);
    return {
      ...computed,
      bytes: { ...work.meter.counts },
      requests: work.requests,
      retries: work.retries,
      resumedBytes: work.resumedBytes,
      fallbacks,
      readBackBytes: work.readBack,
    };
  } catch (error) {
    work.fail(error);
    const failure = work.failure ?? error;
    const worthless = isVarveError(failure) && failure.detail["whole"] === true;
    await work.abandon({ save: !worthless });
    ingest.fail(failure);
    if (worthless) await ingest.discard().catch(() => {});
    throw failure;
  }
}

async function makePasses(recipe: Recipe, options: AssembleOptions, work: Work, fallbacks: Fallback[]): Promise<void> {
  const { concurrency = 4, memoryBytes = 64 << 20, priority = 0, blobs } = options;
  const budget = options.budget ?? new TransferBudget({ concurrency, memoryBytes });
  let current = recipe;
  let streamed = new Set<Digest>();
  for (;;) {
    try {
      // What is being checked need not be fetched, and usually holds; only who gets one chance waits for certainty.
      if (streamed.size > 0 || isSpent(current)) await work.checked();
      await runPass(current, { work, blobs, budget, concurrency, priority, streamed });
      await work.checked();
      if (work.isWhole) return;
    } catch (error) {
      if (work.failure !== undefined || !(error instanceof VarveError) || fallbacks.length >= MAX_FALLBACKS)
        throw error;
      const stream = streamInstead(error, current, streamed);
      const next = stream === undefined ? await options.replan?.(error) : undefined;
      if (stream === undefined && next === undefined) throw error;
      if (stream !== undefined) streamed.add(stream);
      if (next !== undefined) {
        checkTarget(next.recipe, work.ingest);
        current = next.recipe;
        streamed = new Set();
      }
      const fallback = { from: next?.from ?? "ranges", reason: next?.reason ?? `${error.code}: ${error.message}` };
      fallbacks.push(fallback);
      work.emit({ type: "fallback", digest: work.ingest.digest, ...fallback });
    }
  }
}

/** The blob to be had as one stream from now on, when that is what can be done about the error. */
function streamInstead(error: VarveError, recipe: Recipe, streamed: ReadonlySet<Digest>): Digest | undefined {
  if (error.code !== "RANGE_UNSUPPORTED" || isSpent(recipe)) return undefined;
  const segment = error.detail["segment"] as { blob?: { digest: Digest } } | undefined;
  const digest = segment?.blob?.digest;
  return digest === undefined || streamed.has(digest) ? undefined : digest;
}

/** A generator object cannot be iterated again. */
function isSpent({ segments }: Recipe): boolean {
  const again: unknown =
    Symbol.asyncIterator in segments ? segments[Symbol.asyncIterator]() : segments[Symbol.iterator]();
  return again === segments;
}

function checkTarget({ target }: Recipe, { digest, size }: Ingest): void {
  if (target.digest === digest && target.size === size) return;
  throw new VarveError("INTERNAL", `a recipe for ${target.digest} cannot fill the ingest of ${digest}`);
}

function checkWhole(computed: { digest: Digest; size: number }, { digest, size }: Ingest): void {
  if (computed.size !== size) {
    throw new VarveError("SIZE_MISMATCH", `${digest} came to ${computed.size} bytes instead of ${size}`);
  }
  if (computed.digest === digest) return;
  throw new VarveError("DIGEST_MISMATCH", `the bytes of ${digest} came out as ${computed.digest}`, {
    detail: { expected: digest, computed: computed.digest, whole: true },
  });
}
