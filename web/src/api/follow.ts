/** Follows what the daemon tells live, and comes back by itself when it was gone: a pause that grows, less when the browser says "online". */
import { ApiError, send, toApiError } from "./request.ts";
import { readEvents } from "./sse.ts";
import type { JobEvent } from "./types.ts";

export interface Follower {
  readonly onEvent: (event: JobEvent) => void;
  /** The stream is there: what was known before may be old. */
  readonly onOpen?: () => void;
  /** It broke off, and is tried again after so many milliseconds. */
  readonly onLost?: (error: ApiError, retryMs: number) => void;
  /** The daemon refuses; nothing is tried again. */
  readonly onRefused?: (error: ApiError) => void;
}

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8000;
/** The daemon sends a heartbeat more often than this; a silent connection is a dead one. */
const SILENCE_MS = 45_000;

/** Until the signal is aborted. @param path below `/v1` */
export async function follow(path: string, follower: Follower, signal: AbortSignal): Promise<void> {
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      await followOnce(path, signal, {
        ...follower,
        onOpen: () => {
          pause = FIRST_PAUSE_MS;
          follower.onOpen?.();
        },
      });
      throw new ApiError("OFFLINE", "the daemon has ended the connection", "it may be about to start again");
    } catch (thrown) {
      if (signal.aborted) return;
      const error = toApiError(thrown);
      if (isRefusal(error)) return follower.onRefused?.(error);
      follower.onLost?.(error, pause);
      await pauseFor(pause, signal);
      pause = Math.min(LONGEST_PAUSE_MS, pause * 2);
    }
  }
}

async function followOnce(path: string, signal: AbortSignal, { onEvent, onOpen }: Follower): Promise<void> {
  const silence = new AbortController();
  const both = AbortSignal.any([signal, silence.signal]);
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const { body } = await send(path, { signal: both });
    if (body === null) return;
    onOpen?.();
    for await (const data of readEvents(chunksOf(body))) {
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      if (data !== undefined) onEvent(JSON.parse(data) as JobEvent);
    }
  } catch (thrown) {
    if (thrown instanceof ApiError) throw thrown;
    throw new ApiError("OFFLINE", "the connection to the daemon broke off", "it is tried again");
  } finally {
    clearTimeout(timer);
  }
}

/** Streams are not iterable in every browser yet. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncIterable<Uint8Array> {
  const reader = body.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function isRefusal({ code }: ApiError): boolean {
  return ["UNAUTHORIZED", "DENIED", "JOB_NOT_FOUND", "ROUTE_UNKNOWN", "HTTP_401", "HTTP_403", "HTTP_404"].includes(
    code,
  );
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
