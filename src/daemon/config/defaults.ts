/** What a daemon does when it is told nothing. */
import { join } from "node:path";
import type { DaemonConfig } from "./types.ts";

export function defaultConfig(env: NodeJS.ProcessEnv, user = process.getuid?.()): DaemonConfig {
  return {
    listen: {
      socket: defaultSocket(env, user),
      address: null,
      addressFile: null,
      tls: null,
      tokenFile: null,
      noAuth: false,
    },
    mirror: { upstreams: [], defaultUpstream: null, tagSeconds: 0, serveStale: true, keepBytes: null },
    limits: {
      bodyBytes: 1024 * 1024,
      concurrentRequests: 1024,
      requestsPerSecond: null,
      headersMs: 10_000,
      idleMs: 60_000,
      graceMs: 30_000,
    },
    jobs: { queue: "sqlite", pulls: 2, deltas: 1, keepDays: 7 },
    allowPush: false,
    deltaRoots: [],
    diskDirectory: null,
    log: { level: "info", auditFile: null },
  };
}

/** Where others look for it: the system's place for root, the user's for others; null where a user has none. */
function defaultSocket(env: NodeJS.ProcessEnv, user: number | undefined): string | null {
  if (user === 0) return "/run/varve/varve.sock";
  const runtime = env["XDG_RUNTIME_DIR"];
  return runtime?.startsWith("/") === true ? join(runtime, "varve", "varve.sock") : null;
}
