/** Events that say something in words: retries, hosts that failed, plans that did not hold, waits. */
import type { ProgressEvent } from "../api/types.ts";
import { count, formatDuration, shortDigest } from "./format.ts";

export interface Told {
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly kind: "retry" | "fallback" | "wait" | "warning" | "note";
  readonly text: string;
  /** How often in a row. */
  readonly times: number;
}

/** Nobody reads all of it. */
const DIGEST = /sha(?:256|512):([0-9a-f]{12})[0-9a-f]{52,116}/g;

export function tell(event: ProgressEvent, at: number): Told | undefined {
  const told = words(event);
  return told === undefined ? undefined : { at, times: 1, kind: told.kind, text: told.text.replaceAll(DIGEST, "$1") };
}

function words(event: ProgressEvent): Pick<Told, "kind" | "text"> | undefined {
  switch (event.type) {
    case "resolve":
      if (event.digest === undefined) return undefined;
      return { kind: "note", text: `${event.reference} is ${shortDigest(event.digest)}` };
    case "retry": {
      const { digest, host, reason, attempt, delayMs } = event;
      const who = reason.includes(host) ? reason : `${host}: ${reason}`;
      return { kind: "retry", text: about(digest, `${who}; try ${attempt + 1} in ${formatDuration(delayMs)}`) };
    }
    case "failover":
      return { kind: "fallback", text: about(event.digest, `goes on at ${event.to}: ${event.from}: ${event.reason}`) };
    case "fallback":
      return { kind: "fallback", text: about(event.digest, `another way than ${event.from}: ${event.reason}`) };
    case "throttle": {
      const { host, limit, previous } = event;
      const requests = `${count(limit, "request")} at once`;
      if (limit > previous) return { kind: "note", text: `${host}: ${requests} again` };
      return { kind: "wait", text: `${host} wants to be asked less: ${requests}, until it answers better` };
    }
    case "wait":
      return { kind: "wait", text: about(event.digest, "another process is getting it; waiting for that one") };
    case "warning":
      return { kind: "warning", text: about(event.digest, event.message) };
    case "layer-mounted":
      return { kind: "note", text: about(event.digest, `the registry took it from ${event.from}`) };
    case "layer-queued":
    case "disk-queued":
    case "unpack-queued":
    case "layer-start":
    case "progress":
    case "unpack":
    case "disk":
    case "delta":
    case "layer-verified":
    case "layer-present":
    case "layer-done":
    case "image-done":
      return undefined;
  }
}

function about(digest: string | undefined, text: string): string {
  return digest === undefined ? text : `${shortDigest(digest)}: ${text}`;
}
