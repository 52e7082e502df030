/** One request on its way through the daemon: what is known of it besides what node:http says. */
import type { IncomingMessage } from "node:http";

/** Who asks, as the audit log names them. */
export interface Caller {
  readonly how: "socket" | "token" | "certificate" | "none";
  /** A token's label, a certificate's subject, `uid 1000`, or the address of whom nobody knows. Never a secret. */
  readonly name: string;
}

/** Where a request came in. */
export interface Entrance {
  readonly kind: "socket" | "tcp";
  readonly isTls: boolean;
  /** Whoever comes this way is let in. */
  readonly isOpen: boolean;
}

export interface Visit {
  /** In each line of the log that is about it, and given to the client as `X-Request-Id`. */
  readonly id: string;
  readonly entrance: Entrance;
  /** The client's address; empty on a Unix socket. */
  readonly peer: string;
  /** Without the query. */
  readonly path: string;
  /** Of `performance.now`. */
  readonly startedAt: number;
  /** Undefined until they have been let in. */
  caller?: Caller;
  /** What it is about beyond its path, for the audit log. */
  subject?: Readonly<Record<string, unknown>>;
}

const visits = new WeakMap<IncomingMessage, Visit>();

export function remember(request: IncomingMessage, visit: Visit): void {
  visits.set(request, visit);
}

export function visitOf(request: IncomingMessage): Visit | undefined {
  return visits.get(request);
}

/** Requests that change nothing. */
export function isReading(method: string | undefined): boolean {
  return method === "GET" || method === "HEAD" || method === "OPTIONS";
}

export function pathOf(url: string | undefined): string {
  const text = url ?? "/";
  const end = text.indexOf("?");
  return end === -1 ? text : text.slice(0, end);
}

/** Few kinds, whatever is asked for, so that they can be labels of metrics. */
export function routeOf(path: string): string {
  if (isRegistryPath(path)) {
    const [, kind] = /\/(manifests|blobs\/uploads|blobs|tags|referrers)(?:\/|$)/.exec(path) ?? [];
    return kind === undefined ? "/v2/" : `/v2/${kind}`;
  }
  const [, first = ""] = path.split("/", 2);
  if (first === "v1") {
    const [, , part = ""] = path.split("/", 3);
    return API_PARTS.has(part) ? `/v1/${part}` : "/v1/other";
  }
  return OWN_ROUTES.has(first) ? `/${first}` : "other";
}

const API_PARTS: ReadonlySet<string> = new Set(
  "version images pulls plans snapshots deltas disks gc fsck df jobs events".split(" "),
);
const OWN_ROUTES: ReadonlySet<string> = new Set([
  "",
  ..."healthz readyz metrics docs openapi.json assets deltas images".split(" "),
]);

/** What the distribution protocol's handler answers. */
export function isRegistryPath(path: string): boolean {
  return path === "/v2" || path.startsWith("/v2/");
}
