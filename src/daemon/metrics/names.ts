/** Every metric by name: what `/metrics` shows, and what docs/daemon.md says of it. */
export interface MetricRow {
  readonly name: string;
  readonly kind: "counter" | "gauge" | "histogram";
  readonly labels: readonly string[];
  readonly help: string;
  /** Of histograms: upper bounds. */
  readonly buckets?: readonly number[];
}

/** Jobs take from less than a second to hours. */
const JOB_SECONDS = [0.1, 0.5, 1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200];
/** Most requests take a millisecond, blobs take as long as the network does. */
const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30, 120, 600];

const row = (
  kind: MetricRow["kind"],
  name: string,
  labels: readonly string[],
  help: string,
  buckets?: readonly number[],
): MetricRow => ({ name, kind, labels, help, ...(buckets !== undefined && { buckets }) });

export const METRICS = {
  bytes: row(
    "counter",
    "varve_bytes_total",
    ["kind"],
    "Bytes of blobs and disks by where they came from: network, local, data, zero.",
  ),
  jobs: row("counter", "varve_jobs_total", ["kind", "state"], "Jobs that have ended: done, failed or cancelled."),
  jobSeconds: row(
    "histogram",
    "varve_job_duration_seconds",
    ["kind"],
    "How long jobs took, from their start to their end.",
    JOB_SECONDS,
  ),
  queue: row("gauge", "varve_jobs", ["state"], "Jobs that wait (queued) and that are worked on (running)."),
  retries: row("counter", "varve_retries_total", ["host"], "Requests to registries that were made again."),
  fallbacks: row(
    "counter",
    "varve_fallbacks_total",
    ["from"],
    "Plans for blobs that did not hold, so that another way was taken.",
  ),
  cache: row(
    "counter",
    "varve_mirror_requests_total",
    ["what", "how"],
    "Manifests and blobs that the mirror was asked for: hit, miss, joined (beside a miss under way) or stale.",
  ),
  served: row("counter", "varve_served_bytes_total", [], "Body bytes that clients of /v2/ were sent."),
  requests: row(
    "counter",
    "varve_http_requests_total",
    ["method", "route", "status"],
    "Requests that were answered, by kind of path.",
  ),
  requestSeconds: row(
    "histogram",
    "varve_http_request_duration_seconds",
    ["route"],
    "From a request's headers to the end of its answer.",
    REQUEST_SECONDS,
  ),
  inFlight: row("gauge", "varve_http_requests_in_flight", [], "Requests that are being answered."),
  refused: row(
    "counter",
    "varve_http_refused_total",
    ["why"],
    "Requests that were turned away: busy, rate, unauthorized, origin.",
  ),
  audit: row("counter", "varve_audit_failures_total", [], "Lines of the audit log that could not be written."),
  store: row(
    "gauge",
    "varve_store_bytes",
    ["what"],
    "Disk space of the store: blobs, ingests, disks, snapshots, layers, and the total. Measured at most once a minute.",
  ),
  build: row("gauge", "varve_build_info", ["version", "node"], "Always 1; the labels say what runs."),
} as const satisfies Record<string, MetricRow>;
