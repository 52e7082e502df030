/**
 * Which of a layer's deltas are worth their while: what each would cost is estimated before anything of it is fetched, from its size and from that of
 * the tar that it makes, and compared with the layer's blob and with a plan of its pieces.
 */
import { estimate, type Rates } from "../../../plan/choose.ts";
import type { Cost, Plan } from "../../../plan/plan.ts";
import type { TransferContext } from "../../context.ts";
import { planFetch } from "../../plan-fetch.ts";
import type { UnpackTask } from "../../present-layer.ts";
import type { DeltaVia, LayerDelta } from "../types.ts";

/** The blob is kept for others where a layer comes as a blob, and is unpacked with less work: that much of its time, and of its bytes, is worth it. */
const WORTH = 0.9;
/** How much a layer's tar is taken to have for each byte of its blob, where nobody says how much it has. */
const USUAL_RATIO = 3;

/** A list of deltas, their manifest, a delta: before its bytes come, so many requests have been answered. */
const LEAST_REQUESTS = 3;

/** Whether any delta could be worth its while, so that looking for one is. */
export function mayAnyBeWorth(plain: Plan, rates: Rates): boolean {
  return WORTH * estimate(plain.cost, rates) > estimate({ ...NOTHING, requests: LEAST_REQUESTS }, rates);
}

const NO_VIA: DeltaVia = { deltas: 0, bytes: 0, made: 0 };
const NOTHING: Cost = { network: 0, requests: 0, local: 0, data: 0, zero: 0 };

export interface WeighOptions {
  /** `always`: what there is, whatever it costs. */
  readonly mode: "auto" | "always";
  /** For the layer's blob, as `planFetch` has it. */
  readonly plain: Plan;
  readonly rates: Rates;
  /** Layers that are still to be fetched, this one too. */
  readonly layersLeft: number;
  /** Transfers at once. */
  readonly concurrency: number;
}

export interface WeighedDelta {
  readonly delta: LayerDelta;
  /** Expected. The bytes of the delta are exact; of the tar it is not known which come from it, so all count as local. */
  readonly cost: Cost;
  /** Expected. */
  readonly seconds: number;
  /** One clause, without a full stop. */
  readonly why: string;
}

export interface Weighed {
  /** To be tried one after the other; the quickest first. */
  readonly worth: readonly WeighedDelta[];
  /** Why none is, where there are some: one clause, without a full stop. */
  readonly why?: string;
}

/** @param deltas of the layer, whose bases are held */
export async function weighDeltas(
  context: TransferContext,
  task: UnpackTask,
  deltas: readonly LayerDelta[],
  options: WeighOptions,
): Promise<Weighed> {
  const { plain, rates, mode } = options;
  const all: WeighedDelta[] = [];
  for (const delta of deltas) all.push(await weigh(context, task, delta, options));
  const ranked = all.toSorted((a, b) => a.seconds - b.seconds || a.cost.network - b.cost.network);
  if (mode === "always") return { worth: ranked };
  const most = WORTH * estimate(plain.cost, rates);
  const isWorth = ({ cost, seconds }: WeighedDelta): boolean =>
    seconds <= most && cost.network <= WORTH * plain.cost.network;
  const worth = ranked.filter(isWorth);
  const [best] = ranked;
  if (worth.length > 0 || best === undefined) return { worth };
  const { how } = best.delta;
  return { worth, why: `${how} would save too little: ${best.cost.network} of ${plain.cost.network} bytes` };
}

async function weigh(
  { store, registry }: TransferContext,
  { blob }: UnpackTask,
  delta: LayerDelta,
  { plain, rates, layersLeft, concurrency }: WeighOptions,
): Promise<WeighedDelta> {
  const ranges = registry.supportsRanges(delta.reference);
  const isHere = (await store.content.stat(delta.blob.digest)) !== undefined;
  const done = await store.content.partial(delta.blob.digest);
  const fetched = planFetch(delta.blob, { done, ranges, layersLeft, concurrency }).cost;
  const own = isHere ? NOTHING : fetched;
  const { via = NO_VIA } = delta;
  const network = own.network + via.bytes;
  const requests = own.requests + via.deltas;
  const cost = { network, requests, local: via.made + (delta.size ?? USUAL_RATIO * blob.size), data: 0, zero: 0 };
  const less = plain.cost.network - network;
  const here = via.deltas === 0 ? "here" : `here or made by ${via.deltas === 1 ? "another delta" : "other deltas"}`;
  const from = delta.base.length === 1 ? `a layer that is ${here}` : `${delta.base.length} layers that are ${here}`;
  const why = `${delta.how}: from ${from}; ${less} bytes less from the network than ${plain.how}`;
  // One that does not say how large the layer is has to be here as a whole before the layer is begun, and so has what others make.
  const seconds = delta.size === undefined || via.deltas > 0 ? estimate(cost, rates) : secondsOf(cost, rates);
  return { delta, cost, seconds, why };
}

/** Whether a plan of the layer's pieces is better than its best delta. */
export function isChunkedBetter(chunked: Cost, best: WeighedDelta, rates: Rates): boolean {
  return secondsOf(chunked, rates) < best.seconds;
}

/** What comes and what is made of it overlap; the slower of the two counts. */
function secondsOf(cost: Cost, rates: Rates): number {
  const coming = estimate({ ...cost, local: 0, data: 0, zero: 0 }, rates);
  const making = estimate({ ...cost, network: 0, requests: 0 }, rates);
  return Math.max(coming, making);
}
