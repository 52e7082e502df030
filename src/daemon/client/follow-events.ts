/** Follows jobs over connections that may break: each new one begins with what is known by then, so that nothing has to be asked for again. */
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import type { Job, JobEvent } from "../api/schemas/jobs.ts";
import { readEvents } from "./read-events.ts";
import { open, unreachable, type Connection } from "./send.ts";

export interface EventsOptions {
  readonly signal?: AbortSignal | undefined;
  /** How often in a row a connection may come to nothing. Default 10. */
  readonly retries?: number;
}

const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 5000;

export async function* followEvents(
  connection: Connection,
  id: string | undefined,
  { signal, retries = 10 }: EventsOptions,
): AsyncGenerator<JobEvent, void, undefined> {
  let failures = 0;
  for (;;) {
    try {
      for await (const event of oneConnection(connection, id, signal)) {
        failures = 0;
        yield event;
        if (id !== undefined && event.type === "job" && isFinal(event.job)) return;
      }
    } catch (error) {
      if (signal?.aborted === true || !mayPass(error) || failures >= retries) throw error;
    }
    // The daemon ends streams when it stops; then it may be back soon.
    if (failures++ >= retries) throw unreachable("the daemon ends each stream of events", undefined);
    await pause(Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** (failures - 1)), signal);
  }
}

/** The last that is told of a job. */
export async function waitForJob(events: AsyncIterable<JobEvent>): Promise<Job> {
  for await (const event of events) if (event.type === "job" && isFinal(event.job)) return event.job;
  throw new VarveError("DAEMON_UNREACHABLE", "the events ended before the job did");
}

function isFinal({ state }: Job): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}

async function* oneConnection(
  connection: Connection,
  id: string | undefined,
  signal: AbortSignal | undefined,
): AsyncGenerator<JobEvent, void, undefined> {
  const request = { signal, ...(id !== undefined && { params: { id } }) };
  const response = await open(connection, id === undefined ? "followJobs" : "followJob", request, "text/event-stream");
  if (response.body === null) return;
  try {
    for await (const { event, data } of readEvents(response.body)) {
      if (event === "job" || event === "progress") yield JSON.parse(data) as JobEvent;
    }
  } catch (error) {
    throw signal?.aborted === true ? error : unreachable("the stream of events breaks off", error);
  }
}

/** What another try may get over: the daemon away, stopping, or full. */
function mayPass(error: unknown): boolean {
  const codes = ["DAEMON_UNREACHABLE", "DAEMON_BUSY", "INTERRUPTED", "TOO_MANY_REQUESTS"] as const;
  return codes.some((code) => isVarveError(error, code));
}

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    const stop = (): void => {
      clearTimeout(timer);
      reject(signal?.reason as Error);
    };
    signal?.addEventListener("abort", stop, { once: true });
  });
}
