/** Events that say something in words, beside the figures. Falling back is reported, never silent. */
import type { ProgressEvent } from "../../recipe/progress.ts";
import type { LogLevel } from "../logger.ts";
import { formatDuration, shortDigest } from "../print/units.ts";

/** A wait that a person would notice and ask about. */
const NOTICED_MS = 2000;

export function eventMessage(event: ProgressEvent): { readonly level: LogLevel; readonly text: string } | undefined {
  switch (event.type) {
    case "retry": {
      const host = event.reason.includes(event.host) ? "" : `${event.host}: `;
      const text = `${host}${event.reason}; try ${event.attempt + 1} in ${formatDuration(event.delayMs)}`;
      return { level: event.delayMs >= NOTICED_MS ? "info" : "verbose", text: about(event.digest, text) };
    }
    case "failover":
      return { level: "info", text: about(event.digest, `from ${event.from} to ${event.to}: ${event.reason}`) };
    case "throttle": {
      const { host, limit, previous } = event;
      const requests = limit === 1 ? "one request" : `${limit} requests`;
      if (limit > previous) return { level: "verbose", text: `${host}: ${requests} at once again` };
      return { level: "info", text: `${host} wants to be asked less: ${requests} at once, until it answers better` };
    }
    case "fallback":
      return { level: "info", text: about(event.digest, `fell back from ${event.from}: ${event.reason}`) };
    case "warning":
      return { level: "warn", text: about(event.digest, event.message) };
    case "resolve":
      if (event.digest === undefined) return undefined;
      return { level: "verbose", text: `${event.reference} is ${event.digest}` };
    case "layer-queued":
    case "disk-queued":
    case "unpack-queued":
    case "layer-start":
    case "progress":
    case "unpack":
    case "disk":
    case "delta":
    case "wait":
    case "layer-verified":
    case "layer-mounted":
    case "layer-present":
    case "layer-done":
    case "image-done":
      return undefined;
  }
}

function about(digest: string | undefined, text: string): string {
  return digest === undefined ? text : `${shortDigest(digest)}: ${text}`;
}
