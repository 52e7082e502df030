/**
 * Follows what the daemon tells live, and comes back by itself when it was gone: a pause that grows, none when the browser says "online". Unlike
 * the client's own way it tells whether the daemon is there, and takes a connection that says nothing at all for a dead one.
 */
import { readEvents } from "../../../src/daemon/client/read-events.ts";
import { open } from "../../../src/daemon/client/send.ts";
import { VarveError } from "../../../src/errors/varve-error.ts";
import { connection, toTrouble, type Trouble } from "./daemon.ts";
import type { JobEvent } from "./types.ts";

export interface Follower {
  readonly onEvent: (event: JobEvent) => void;
  /** The stream is there: what was known before may be old. */
  readonly onOpen?: () => void;
  /** It broke off, and is tried again. */
  readonly onLost?: () => void;
  /** The daemon refuses; nothing is tried again. */
  readonly onRefused?: (trouble: Trouble) => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
/** The daemon sends a heartbeat every 15 seconds. */
const SILENCE_MS = 45_000;
/** Asking again would change nothing. */
const REFUSALS = new Set(["UNAUTHORIZED", "DENIED", "JOB_NOT_FOUND", "ROUTE_UNKNOWN", "REQUEST_INVALID"]);

/** Until the signal is aborted. @param id of a job; undefined: what becomes of all jobs */
export async function follow(id: string | undefined, follower: Follower, signal: AbortSignal): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  const onOpen = (): void => {
    pause = FIRST_PAUSE_MS;
    follower.onOpen?.();
  };
  while (!signal.aborted) {
    try {
      await followOnce(id, signal, { ...follower, onOpen });
    } catch (thrown) {
      const trouble = toTrouble(thrown);
      if (!signal.aborted && REFUSALS.has(trouble.code)) return follower.onRefused?.(trouble);
    }
    if (signal.aborted) return;
    follower.onLost?.();
    await pauseFor(pause, signal);
    pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
  }
}

async function followOnce(id: string | undefined, signal: AbortSignal, { onEvent, onOpen }: Follower): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  const heard = new TransformStream<Uint8Array, Uint8Array>({
    transform(chunk, controller) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      controller.enqueue(chunk);
    },
  });
  const request = { signal: AbortSignal.any([signal, silence.signal]), ...(id !== undefined && { params: { id } }) };
  try {
    const { body } = await open(
      connection,
      id === undefined ? "followJobs" : "followJob",
      request,
      "text/event-stream",
    );
    if (body === null) return;
    onOpen?.();
    for await (const { event, data } of readEvents(body.pipeThrough(heard))) {
      if (event === "job" || event === "progress") onEvent(JSON.parse(data) as JobEvent);
      else if (event === "error")
        throw new VarveError("DAEMON_UNREACHABLE", "the daemon has ended the stream of events");
    }
  } finally {
    clearTimeout(timer);
  }
}

function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((settle) => {
    const end = (): void => {
      clearTimeout(timer);
      window.removeEventListener("online", end);
      signal.removeEventListener("abort", end);
      settle();
    };
    const timer = setTimeout(end, ms);
    window.addEventListener("online", end);
    signal.addEventListener("abort", end);
  });
}
