/** The metrics of one daemon in prom-client's registry; each daemon has its own, so that several may run in a process. */
import type { Counter, Gauge, Histogram } from "prom-client";
import type { Metrics } from "./metrics.ts";
import { METRICS, type MetricRow } from "./names.ts";

export interface StoreBytes {
  readonly [what: string]: number;
}

/** What the HTTP server tells, beside what all parts do. */
export interface ServerMetrics extends Metrics {
  requestBegan(): void;
  requestEnded(method: string, route: string, status: number, seconds: number): void;
  refused(why: "busy" | "rate" | "unauthorized" | "origin"): void;
  auditFailed(): void;
  /** The text format of Prometheus, and its content type. */
  exposition(): Promise<{ readonly type: string; readonly text: string }>;
}

export interface PrometheusOptions {
  readonly version: string;
  /** Measures the store; asked at most once a minute. */
  readonly storeBytes: () => Promise<StoreBytes>;
  /** Milliseconds that only grow. Default: `performance.now`. */
  readonly now?: () => number;
}

/** How often the event loop's lag is taken. By default it is each 10 ms, which wakes a daemon that has nothing to do a hundred times a second. */
const LAG_EVERY_MS = 1000;
const STORE_BYTES_MS = 60_000;
/** Names from outside become labels, and each label costs memory for good. */
const MAX_HOSTS = 200;

export async function openMetrics(options: PrometheusOptions): Promise<ServerMetrics> {
  const prom = await import("prom-client");
  const register = new prom.Registry();
  prom.collectDefaultMetrics({ register, eventLoopMonitoringPrecision: LAG_EVERY_MS });
  const common = ({
    name,
    help,
    labels,
  }: MetricRow): { name: string; help: string; labelNames: string[]; registers: [typeof register] } => ({
    name,
    help,
    labelNames: [...labels],
    registers: [register],
  });
  const counter = (row: MetricRow): Counter => new prom.Counter(common(row));
  const gauge = (row: MetricRow): Gauge => new prom.Gauge(common(row));
  const histogram = (row: MetricRow): Histogram =>
    new prom.Histogram({ ...common(row), buckets: [...(row.buckets ?? [])] });

  const bytes = counter(METRICS.bytes);
  const jobs = counter(METRICS.jobs);
  const jobSeconds = histogram(METRICS.jobSeconds);
  const queue = gauge(METRICS.queue);
  const retries = counter(METRICS.retries);
  const fallbacks = counter(METRICS.fallbacks);
  const cache = counter(METRICS.cache);
  const served = counter(METRICS.served);
  const requests = counter(METRICS.requests);
  const requestSeconds = histogram(METRICS.requestSeconds);
  const inFlight = gauge(METRICS.inFlight);
  const refused = counter(METRICS.refused);
  const audit = counter(METRICS.audit);
  const store = gauge(METRICS.store);
  gauge(METRICS.build).set({ version: options.version, node: process.versions.node }, 1);
  const measure = atMostOnceAMinute(options, (measured) => {
    for (const [what, value] of Object.entries(measured)) store.set({ what }, value);
  });
  const hosts = bounded(MAX_HOSTS);
  return {
    bytes: (kind, amount) => bytes.inc({ kind }, amount),
    jobEnded(kind, state, seconds) {
      jobs.inc({ kind, state });
      jobSeconds.observe({ kind }, seconds);
    },
    retried: (host) => retries.inc({ host: hosts(host) }),
    fellBack: (from) => fallbacks.inc({ from }),
    cache: (what, how) => cache.inc({ what, how }),
    served: (amount) => served.inc(amount),
    queue(depth) {
      queue.set({ state: "queued" }, depth.queued);
      queue.set({ state: "running" }, depth.running);
    },
    requestBegan: () => inFlight.inc(),
    requestEnded(method, route, status, seconds) {
      inFlight.dec();
      requests.inc({ method, route, status });
      requestSeconds.observe({ route }, seconds);
    },
    refused: (why) => refused.inc({ why }),
    auditFailed: () => audit.inc(),
    async exposition() {
      await measure();
      return { type: register.contentType, text: await register.metrics() };
    },
  };
}

/** What is asked for often and changes slowly; those who ask meanwhile wait for the same answer. A failure leaves the last values. */
function atMostOnceAMinute(
  { storeBytes, now = () => performance.now() }: PrometheusOptions,
  take: (measured: StoreBytes) => void,
): () => Promise<void> {
  let last: { readonly at: number; readonly done: Promise<void> } | undefined;
  return () => {
    if (last === undefined || now() - last.at >= STORE_BYTES_MS) {
      last = { at: now(), done: storeBytes().then(take, () => undefined) };
    }
    return last.done;
  };
}

/** The names themselves up to so many different ones, `other` from then on. */
function bounded(limit: number): (name: string) => string {
  const known = new Set<string>();
  return (name) => {
    if (known.has(name)) return name;
    if (known.size >= limit) return "other";
    known.add(name);
    return name;
  };
}
