/**
 * Job events as server-sent events (WHATWG HTML §9.2). The feed keeps what is latest for a reader who is slow, so nothing is read of it before
 * what was read has gone; while nothing happens, comments show both sides that the other is there.
 */
import { setTimeout as delay } from "node:timers/promises";
import { toVarveError } from "../../errors/from-system.ts";
import type { JobEvent } from "../jobs/types.ts";

/** Shorter than what proxies and the daemon itself take for silence. */
const HEARTBEAT_MS = 15_000;

export interface EventStreamOptions {
  readonly signal: AbortSignal;
  readonly heartbeatMs?: number;
}

/** The text of the stream, a piece for each event. Ends with the events, or quietly with the signal. */
export async function* eventStream(
  events: AsyncIterable<JobEvent>,
  { signal, heartbeatMs = HEARTBEAT_MS }: EventStreamOptions,
): AsyncGenerator<string, void, undefined> {
  const iterator = events[Symbol.asyncIterator]();
  // Told at once, so that a client knows that it is connected; and how soon it is to come back.
  yield "retry: 2000\n\n";
  try {
    let next = iterator.next();
    while (!signal.aborted) {
      const came = await within(next, heartbeatMs, signal);
      if (came === "nothing") yield ": still here\n\n";
      else if (came.done === true) return;
      else {
        yield eventText(came.value);
        next = iterator.next();
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    const { code, message, hint } = toVarveError(error);
    yield `event: error\ndata: ${JSON.stringify({ error: { code, message, hint } })}\n\n`;
  } finally {
    // A feed that waits for its next event ends by the signal.
    void iterator.return?.().catch(() => undefined);
  }
}

function eventText(event: JobEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

async function within<T>(promise: Promise<T>, milliseconds: number, signal: AbortSignal): Promise<T | "nothing"> {
  const over = new AbortController();
  const waiting = delay(milliseconds, "nothing" as const, { signal: AbortSignal.any([signal, over.signal]) });
  waiting.catch(() => undefined);
  try {
    return await Promise.race([promise, waiting]);
  } finally {
    over.abort();
  }
}
