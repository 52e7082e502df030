/** Ranks plans for the same target by what they would cost, and says why the winner wins. */
import { VarveError } from "../errors/varve-error.ts";
import type { HostRates } from "../registry/host-rates.ts";
import type { Cost, Plan } from "./plan.ts";

/**
 * Rates to weigh bytes of different kinds against each other: what whole pulls were measured to make of them (bench "update"). The
 * defaults are a fair connection and a common SSD. A blob's bytes, which need less work, only count as they come from the network.
 */
export interface Rates {
  /** Bytes per second from the registry. Default 25 MB/s. */
  readonly network?: number;
  /** Bytes per second read, hashed and written anew of local files. Default 500 MB/s. */
  readonly local?: number;
  /** Default 1 GB/s. */
  readonly data?: number;
  /** Default 1 GB/s: they are hashed. */
  readonly zero?: number;
  /** Seconds that each request adds. Default 0.01: some 50 ms of latency, several requests at once. */
  readonly request?: number;
}

/** What a connection is taken for of which nothing was measured. */
export const DEFAULTS = { network: 25e6, request: 0.01 } as const;

/** A link is shared and often paid for: however near a registry is, its bytes are not cheaper than these, per second. */
const FASTEST = 100e6;
const SLOWEST = 10e3;
/** Seconds. */
const LONGEST_REQUEST = 5;

/** Bytes that a connection has on its way at a time, before it has come to know its line. */
const UNDER_WAY = 256 << 10;

/**
 * The rates of a connection as it was measured; the defaults for what was not. Of a registry of which only the latency is known, a far one is
 * taken for a slow one: measured requests weighed against a rate from nowhere would speak for whole blobs wherever a line is long.
 * @param concurrency requests at once, which share the waiting for answers. Default 4
 */
export function ratesOf({ latencyMs, bytesPerSecond }: HostRates, concurrency = 4): Rates {
  const guessed = latencyMs === undefined ? Infinity : (UNDER_WAY * 1000) / latencyMs;
  const network = bytesPerSecond ?? (guessed < DEFAULTS.network ? guessed : undefined);
  return {
    ...(network !== undefined && { network: Math.min(FASTEST, Math.max(SLOWEST, network)) }),
    ...(latencyMs !== undefined && { request: Math.min(LONGEST_REQUEST, latencyMs / 1000 / Math.max(1, concurrency)) }),
  };
}

export interface Choice {
  readonly plan: Plan;
  /** All plans, cheapest first. */
  readonly ranked: readonly Plan[];
  readonly why: string;
}

/** Seconds that carrying out a plan would take, at these rates. For comparing, not for promising. */
export function estimate(cost: Cost, rates: Rates = {}): number {
  const { network = DEFAULTS.network, local = 500e6, data = 1e9, zero = 1e9, request = DEFAULTS.request } = rates;
  return cost.network / network + cost.local / local + cost.data / data + cost.zero / zero + cost.requests * request;
}

/** The cheapest plan; of equal ones that with fewer network bytes, requests, local bytes, literals, zeros; then the one named first. */
export function choose(plans: readonly Plan[], rates: Rates = {}): Choice {
  const ranked = [...plans].sort(
    (a, b) =>
      estimate(a.cost, rates) - estimate(b.cost, rates) ||
      a.cost.network - b.cost.network ||
      a.cost.requests - b.cost.requests ||
      a.cost.local - b.cost.local ||
      a.cost.data - b.cost.data ||
      a.cost.zero - b.cost.zero,
  );
  const [plan, next] = ranked;
  if (plan === undefined) throw new VarveError("INTERNAL", "there is no plan to choose from");
  return { plan, ranked, why: explain(plan, next) };
}

function explain(plan: Plan, next: Plan | undefined): string {
  const own = `${plan.how}: ${plan.why}`;
  if (next === undefined) return own;
  const saved = next.cost.network - plan.cost.network;
  if (saved > 0) return `${own}; ${saved} bytes less from the network than ${next.how}`;
  if (saved < 0) return `${own}; ${-saved} bytes more from the network than ${next.how}, but less work`;
  return `${own}; as many bytes from the network as ${next.how}`;
}
