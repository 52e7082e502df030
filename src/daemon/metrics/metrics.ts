/** What is counted while the daemon runs; names and units are in one table, `/metrics` and docs/daemon.md are made from it. */
import type { ByteCounts } from "../../recipe/bytes.ts";

/** The parts of the daemon tell what happened; how it is counted is nobody's business but this room's. */
export interface Metrics {
  /** Bytes of targets by where they came from. */
  bytes(kind: keyof ByteCounts, bytes: number): void;
  /** A job has ended. */
  jobEnded(kind: string, state: "done" | "failed" | "cancelled", seconds: number): void;
  retried(host: string): void;
  fellBack(from: string): void;
  /** A mirror's request for a manifest or a blob was answered from here (`hit`), from upstream (`miss`), beside another that was under way (`joined`), or by what is old (`stale`). */
  cache(what: "manifest" | "blob", how: "hit" | "miss" | "joined" | "stale"): void;
  /** Body bytes sent to clients of `/v2/`. */
  served(bytes: number): void;
  queue(depth: { readonly queued: number; readonly running: number }): void;
}
