/**
 * Whether a layer is to be made of pieces, and how: from what its manifest says over its table of contents and what this machine holds to the
 * planner's recipe, which has to promise to be faster than the blob. Each step is taken only when the ones before let it look worth while.
 */
import { toVarveError } from "../../errors/from-system.ts";
import { choose, estimate, type Rates } from "../../plan/choose.ts";
import { CostMeter } from "../../plan/cost-meter.ts";
import type { PlacedPieces } from "../../codec/piece-table.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Cost, Plan } from "../../plan/plan.ts";
import { planResume } from "../../plan/resume.ts";
import type { BlobSource } from "../../registry/blob-source.ts";
import type { KnownRates } from "../known-rates.ts";
import type { ByteRange } from "../../store/types.ts";
import type { LocalSources } from "../../store/local-sources/types.ts";
import { returnLargeBuffers, trimMalloc } from "../../sys/malloc-arenas.ts";
import type { TransferContext } from "../context.ts";
import type { TarPlan } from "../deltas/types.ts";
import { planFetch } from "../plan-fetch.ts";
import type { UnpackTask } from "../present-layer.ts";
import type { Fallback } from "../pull-result.ts";
import { coarseRates } from "./coarse-rates.ts";
import type { ChunkedFormat } from "./format.ts";
import { formatOf } from "./formats.ts";
import { isHopeless } from "./hopeless.ts";
import { Replanner } from "./replanner.ts";

export interface PlanChunkedOptions {
  readonly sources: () => Promise<ChunkedSources>;
  /** Of the layer's repository; what comes through it is counted. */
  readonly blobs: BlobSource;
  /**
   * What was measured of the registry before the first layer: what the layers measure of it depends on which of them come first, and a plan
   * that is told beforehand would not be true.
   */
  readonly rates: KnownRates;
  /** Layers that are still to be fetched, this one too. */
  readonly layersLeft: number;
  /** Transfers at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Whether there is another way to the layer than its blob, which is better than one at this cost. Default: there is none. */
  readonly beats?: (cost: Cost) => boolean;
}

/** The blob is kept for others where a layer comes as a blob, and is unpacked with less work: that much of its time is worth it. */
const WORTH = 0.9;

/**
 * Seconds that nothing comes while each byte of a table of contents is planned with; and of work on as many pieces as it names, which goes on
 * while others come (bench "update").
 */
const PLANNING = 0.35e-6;
const MAKING = 0.35e-6;
/** Seconds that it takes to look at what is here: what a registry that is known to be fast would send meanwhile is worth it. */
const LOOKING = 1;

/** What planning asks of the content that this machine holds. */
export interface ChunkedSources extends LocalSources {
  /** Whether anything is held that a layer could be made of. */
  isAnything(): Promise<boolean>;
}

/** What is held of it is remembered when the layer is, so that the next pull need not hash it. */
export type ChunkedPlan = TarPlan;

/** The blob is better, or the only way. */
export interface BetterPlain {
  readonly plain: true;
  /** One clause, without a full stop. */
  readonly why: string;
  /** When something is wrong with the table of contents or with who serves it. */
  readonly fallback?: Fallback;
}

/**
 * @returns undefined for a layer that is not chunked
 * @throws what stands in the way of every way
 */
export async function planChunked(
  context: TransferContext,
  task: UnpackTask,
  options: PlanChunkedOptions,
): Promise<ChunkedPlan | BetterPlain | undefined> {
  let format: ChunkedFormat | undefined;
  try {
    format = formatOf(task.blob);
    return format && (await planAs(format, context, task, options));
  } catch (thrown) {
    const error = toVarveError(thrown, `planning the layer ${task.blob.digest}`);
    if (options.signal.aborted || isHopeless(error)) throw error;
    return fallBack(format?.how ?? "its table of contents", `${error.code}: ${error.message}`);
  }
}

async function planAs(
  format: ChunkedFormat,
  { store, registry }: TransferContext,
  task: UnpackTask,
  options: PlanChunkedOptions,
): Promise<ChunkedPlan | BetterPlain> {
  const { blob, diffId, reference } = task;
  const { signal, concurrency } = options;
  const ranges = registry.supportsRanges(reference);
  if (ranges === false) return better("the registry serves no ranges");
  const done = await store.content.partial(diffId);
  const plain = planFetch(blob, { ...options, done: await store.content.partial(blob.digest), ranges });
  const rates = coarseRates(options.rates, concurrency);
  const { tocBytes } = format;
  const worth = WORTH * estimate(plain.cost, rates);
  const least = { network: tocBytes, local: 0, data: 0, zero: 0, requests: 1 };
  const looking = PLANNING * tocBytes + (options.rates.isRemembered === true ? LOOKING : 0);
  if (done.length === 0 && worth <= estimate(least, rates) + looking) {
    return better("its table of contents alone would take as long to get and to use");
  }
  if (options.beats?.(least) === true) return better("a delta of it is quicker than its table of contents");
  returnLargeBuffers();
  const sources = await options.sources();
  if (done.length === 0 && !(await sources.isAnything())) return better("nothing is here that it could be made of");
  const toc = await format.open(task, options);
  // Near a blob's start it comes all the same, from a host that sends all that lies before it too.
  if (registry.supportsRanges(reference) === false) return fallBack(format.how, "the registry serves no ranges");
  await using opened = new AsyncDisposableStack();
  const places = opened.use(await sources.locate(toc.pieces, { signal }));
  const planned = await toc.plan(places, { rates, signal });
  if ("refused" in planned) {
    return places.found.pieces === 0 ? better(planned.refused) : fallBack(format.how, planned.refused);
  }
  const resumed = await resume(planned, done);
  const { plan, why } = choose([resumed, plain], rates);
  if (plan === plain || secondsOf(resumed.cost, rates, tocBytes) > worth) {
    return better(`${format.how} would save too little: ${resumed.cost.network} of ${plain.cost.network} bytes`);
  }
  if (options.beats?.(resumed.cost) === true) return better(`a delta of it is quicker than ${format.how}`);
  // What was read and decompressed for all this leaves holes.
  trimMalloc();
  const replanner = new Replanner({ toc, places, rates, sources, signal });
  const held = opened.move();
  return {
    how: format.how,
    plan,
    why,
    replan: (error) => replanner.replan(error),
    remember: rememberer(sources, diffId, toc.placed),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

/** Apart, so that it holds on to no more of a plan than it needs. */
function rememberer(sources: LocalSources, diffId: Digest, placed: PlacedPieces | undefined): () => Promise<void> {
  return async () => {
    if (placed !== undefined) await sources.record(diffId, placed).catch(() => undefined);
  };
}

/** Less what an earlier try has left, at what that costs: its segments are told one by one, and counted so. */
async function resume(planned: Plan, done: readonly ByteRange[]): Promise<Plan> {
  const plan = planResume(planned, done);
  if (plan === planned) return plan;
  const meter = new CostMeter(plan.recipe.gapBytes);
  for await (const segment of plan.recipe.segments) meter.add(segment);
  return { ...plan, cost: meter.end() };
}

/** What comes and what is made of it overlap; the slower of the two counts. */
function secondsOf(cost: Cost, rates: Rates, tocBytes: number): number {
  const coming = estimate({ ...cost, local: 0, data: 0, zero: 0 }, rates);
  const making = estimate({ ...cost, network: 0, requests: 0 }, rates) + MAKING * tocBytes;
  return Math.max(coming, making);
}

function better(why: string): BetterPlain {
  return { plain: true, why };
}

function fallBack(from: string, reason: string): BetterPlain {
  return { plain: true, why: `${from}: ${reason}`, fallback: { from, reason } };
}
