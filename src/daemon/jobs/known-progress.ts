/**
 * What is last known of each blob of a job. Events that tell how far something has come replace each other; those that happened once (a
 * retry, a warning) are kept as they are, and only the newest of them.
 */
import type { ProgressEvent } from "../../recipe/progress.ts";

/** Of one job. A machine's image may have thousands of chunks; what is dropped first was changed the longest ago. */
const MAX_KNOWN = 4096;

/** Under one key only the newest event counts; undefined for what is told once and not kept for those who come later. */
export function progressKey(event: ProgressEvent): string | undefined {
  switch (event.type) {
    case "layer-queued":
    case "disk-queued":
    case "unpack-queued":
    case "layer-start":
    case "unpack":
    case "fallback":
      return `${event.type} ${event.digest}`;
    case "progress":
    case "delta":
    case "wait":
    case "layer-verified":
    case "layer-mounted":
    case "layer-present":
    case "layer-done":
      return `at ${event.digest}`;
    case "disk":
      return `disk ${event.path}`;
    case "resolve":
    case "image-done":
      return `${event.type} ${event.reference} ${event.type === "resolve" ? (event.to ?? "") : ""}`;
    case "throttle":
      return `throttle ${event.host}`;
    case "warning":
      return `warning ${event.message}`;
    case "retry":
    case "failover":
      return undefined;
  }
}

export class KnownProgress {
  readonly #events = new Map<string, ProgressEvent>();

  add(event: ProgressEvent): void {
    const key = progressKey(event);
    if (key !== undefined) putLast(this.#events, key, event, MAX_KNOWN);
  }

  /** In the order in which they were told. */
  all(): ProgressEvent[] {
    return [...this.#events.values()];
  }
}

/** Puts it in as the newest, and drops the oldest where there are too many. */
export function putLast<Key, Value>(map: Map<Key, Value>, key: Key, value: Value, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
