/** What a daemon is told: flags over environment (`VARVE_...`) over the TOML file over these defaults. Resolved once, and again on SIGHUP. */

export interface ListenConfig {
  /** Absolute path of the Unix socket; null: none. Default without an address: `/run/varve/varve.sock` for root, else `$XDG_RUNTIME_DIR/varve/varve.sock`. */
  readonly socket: string | null;
  /** `HOST:PORT`, port 0 for any free one; null: none (the default). */
  readonly address: string | null;
  /** Where `HOST:PORT` is written once it is known. */
  readonly addressFile: string | null;
  readonly tls: { readonly certFile: string; readonly keyFile: string; readonly clientCaFile: string | null } | null;
  /** File of one bearer token a line, for TCP; null with `noAuth` (loopback only) or with client certificates. */
  readonly tokenFile: string | null;
  readonly noAuth: boolean;
}

export interface UpstreamConfig {
  /** As in image names, `docker.io`; `*` for every registry. */
  readonly host: string;
  /** Whether this machine's credentials for it are used for whoever may ask the daemon. Default true. */
  readonly credentials: boolean;
  /** Whether what clients send as Authorization goes on to it, and what that gives is then given to them alone. Default false. */
  readonly passCredentials: boolean;
}

export interface MirrorConfig {
  /** Default: none, so that nobody can have this machine fetch from anywhere. */
  readonly upstreams: readonly UpstreamConfig[];
  /** Whose names `/v2/<name>` without `ns` and without a host in it are, where no repository here has that name; Docker's `registry-mirrors`. Default: none. */
  readonly defaultUpstream: string | null;
  /** Seconds for which a tag is not asked for again. Default 0: each time by HEAD. */
  readonly tagSeconds: number;
  /** Whether a tag's last known digest is served when upstream cannot be reached. Default true. */
  readonly serveStale: boolean;
  /** Bytes that cached content may take; what was not asked for the longest goes first. Default: no limit. */
  readonly keepBytes: number | null;
}

export interface LimitsConfig {
  /** Of a request to the API. Default 1 MiB. */
  readonly bodyBytes: number;
  /** Requests at once, those that stream blobs included. Default 1024. */
  readonly concurrentRequests: number;
  /** Requests per second and address on TCP, in bursts of ten times as many; 0: no limit. Null (the default): 200, and none for this machine itself. */
  readonly requestsPerSecond: number | null;
  /** Default 10,000. */
  readonly headersMs: number;
  /** Without a byte moving in either direction. Default 60,000. */
  readonly idleMs: number;
  /** What answers under way are given when the daemon is told to stop. Default 30,000. */
  readonly graceMs: number;
}

export interface JobsConfig {
  /** `sqlite` in the store's directory (the default), or `postgres://...` for deltas. */
  readonly queue: string;
  /** Jobs of each kind at once. Default: pulls 2, deltas 1. */
  readonly pulls: number;
  readonly deltas: number;
  /** Days for which ended jobs are shown. Default 7. */
  readonly keepDays: number;
}

export interface DaemonConfig {
  readonly listen: ListenConfig;
  readonly mirror: MirrorConfig;
  readonly limits: LimitsConfig;
  readonly jobs: JobsConfig;
  /** Whether clients may push, mount and delete under `/v2/`. Default false. */
  readonly allowPush: boolean;
  /** Absolute; stores and layouts to copy from, as `--delta-root`. */
  readonly deltaRoots: readonly string[];
  /** A directory that disks may be imported from and exported to over the API; null: neither (the default). */
  readonly diskDirectory: string | null;
  readonly log: { readonly level: "debug" | "info" | "warn" | "error"; readonly auditFile: string | null };
}
