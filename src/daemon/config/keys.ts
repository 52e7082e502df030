/** Every key of the configuration: reading it, the variables' names, what a reload may change and docs/daemon.md are all made from this. */
import * as kinds from "./values.ts";
import type { ValueKind } from "./values.ts";

export interface ConfigKey {
  /** As in the file, with its tables before it. */
  readonly key: string;
  readonly kind: ValueKind;
  /** In words, where the documentation says it. */
  readonly byDefault: string;
  readonly summary: string;
  /** Whether a reload (SIGHUP) changes it in a daemon that runs. */
  readonly reloads: boolean;
}

const restart = (key: string, kind: ValueKind, byDefault: string, summary: string): ConfigKey => ({
  key,
  kind,
  byDefault,
  summary,
  reloads: false,
});
const live = (key: string, kind: ValueKind, byDefault: string, summary: string): ConfigKey => ({
  key,
  kind,
  byDefault,
  summary,
  reloads: true,
});

export const CONFIG_KEYS: readonly ConfigKey[] = [
  restart(
    "listen.socket",
    kinds.orNone(kinds.path),
    "without an address `/run/varve/varve.sock` for root, `$XDG_RUNTIME_DIR/varve/varve.sock` for others",
    "the Unix socket, of mode 0660: whoever may write to it may use the daemon",
  ),
  restart("listen.address", kinds.orNone(kinds.address), "none", "TCP; port 0 takes any free one"),
  restart("listen.addressFile", kinds.orNone(kinds.path), "none", "where HOST:PORT is written once it is known"),
  live(
    "listen.tokenFile",
    kinds.orNone(kinds.path),
    "none",
    "tokens for TCP, `TOKEN [LABEL]` a line; whether there are any changes by a restart only",
  ),
  restart("listen.noAuth", kinds.flag, "false", "TCP without tokens, on a loopback address only"),
  live(
    "listen.tls.certFile",
    kinds.path,
    "none",
    "the certificate for TLS on TCP, PEM, with those between it and its authority; whether there is TLS changes by a restart only",
  ),
  live("listen.tls.keyFile", kinds.path, "none", "its key, PEM"),
  live(
    "listen.tls.clientCaFile",
    kinds.orNone(kinds.path),
    "none",
    "authorities of clients' certificates, PEM: who shows one of theirs needs no token; whether there are any changes by a restart only",
  ),
  live(
    "mirror.upstreams",
    kinds.upstreams,
    "[]",
    "registries that `/v2/` gets images from. Of each: `credentials` (default true), whether this machine's credentials are used for whoever asks; `passCredentials` (default false), whether what clients send as Authorization goes on to it",
  ),
  live(
    "mirror.defaultUpstream",
    kinds.orNone(kinds.host),
    "none",
    "whose names those without a registry are; it counts as an upstream",
  ),
  live(
    "mirror.tagSeconds",
    kinds.count(0, 31_536_000),
    "0",
    "seconds for which a tag is not asked for again; 0 asks each time, by HEAD",
  ),
  live(
    "mirror.serveStale",
    kinds.flag,
    "true",
    "whether a tag's last known image is served while its registry cannot be reached",
  ),
  live(
    "mirror.keepBytes",
    kinds.orNone(kinds.bytes()),
    "none",
    "what cached images may take on disk; what was not asked for the longest goes first",
  ),
  live("allowPush", kinds.flag, "false", "whether clients may push, mount and delete under `/v2/`"),
  live("deltaRoots", kinds.paths, "[]", "stores and OCI layouts to copy from as well; they are only read"),
  live(
    "diskDirectory",
    kinds.orNone(kinds.path),
    "none",
    "below which disks may be imported and exported over the API",
  ),
  restart("limits.bodyBytes", kinds.bytes(1024), "1 MiB", "the body of a request to the API; blobs have no limit"),
  live("limits.concurrentRequests", kinds.count(1, 100_000), "1024", "requests at once; those beyond are answered 503"),
  live(
    "limits.requestsPerSecond",
    kinds.orNone(kinds.count(0, 1_000_000)),
    "200, and for this machine itself none",
    "requests per second of each address on TCP, in bursts of ten times as many; those beyond are answered 429; 0 is no limit",
  ),
  restart("limits.headersMs", kinds.milliseconds(100), "10s", "for the headers of a request to arrive"),
  restart(
    "limits.idleMs",
    kinds.milliseconds(1000),
    "60s",
    "after which a connection is ended on which a client moves nothing",
  ),
  live("limits.graceMs", kinds.milliseconds(0), "30s", "for answers under way when the daemon is told to stop"),
  restart(
    "jobs.queue",
    kinds.queue,
    "sqlite",
    "where jobs are kept: in the store, or with `postgres://...` those of deltas in PostgreSQL for any number of `varve worker`",
  ),
  restart("jobs.pulls", kinds.count(1, 64), "2", "pulls at once"),
  restart("jobs.deltas", kinds.count(1, 64), "1", "deltas at once"),
  restart("jobs.keepDays", kinds.count(0, 3650), "7", "days for which jobs that have ended are shown"),
  live(
    "log.level",
    kinds.choice(["debug", "info", "warn", "error"]),
    "info",
    "the least that is logged; `debug` has a line for every request",
  ),
  live(
    "log.auditFile",
    kinds.orNone(kinds.path),
    "none: the log says it",
    "where a line for each request that changes something is added, with mode 0600",
  ),
];

/** `mirror.keepBytes` is `VARVE_MIRROR_KEEP_BYTES`. */
export function variableOf({ key }: Pick<ConfigKey, "key">): string {
  // The command line's own variable, which means the same.
  if (key === "deltaRoots") return "VARVE_DELTA_ROOT";
  return `VARVE_${key
    .replaceAll(".", "_")
    .replace(/[A-Z]/g, (letter) => `_${letter}`)
    .toUpperCase()}`;
}
