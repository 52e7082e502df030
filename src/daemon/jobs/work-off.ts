/** Takes jobs of some kinds, so many at once, and sees each of them to its end; the daemon's runner and `varve worker` both do so. */
import { setTimeout as sleep } from "node:timers/promises";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { isTransient, MAX_ATTEMPTS } from "./retries.ts";
import type { Claim, Job, JobKind, JobQueue } from "./types.ts";

/** How long it waits before it asks a queue again that could not be asked. */
const QUEUE_PAUSE_MS = 2_000;
/** How often it looks whether more jobs may run at once, where none may. */
const ROOM_PAUSE_MS = 2_000;

/** What came of one claim: `left` is a job that is not this worker's any more, or that was put back. */
export type Outcome =
  | { readonly state: "done"; readonly result: unknown }
  | { readonly state: "failed" | "retried"; readonly error: NonNullable<Job["error"]> }
  | { readonly state: "cancelled" | "left" };

export interface WorkOptions {
  readonly kinds: readonly JobKind[];
  /** Jobs at once; asked before each. */
  readonly slots: () => number;
  /** Ends it: what runs is aborted and put back. */
  readonly signal: AbortSignal;
  /** Does the work; what it gives becomes the job's result. */
  readonly work: (job: Job, signal: AbortSignal) => Promise<unknown>;
  readonly onStart?: (job: Job) => void;
  readonly onEnd?: (job: Job, outcome: Outcome, seconds: number) => void;
  /** The queue could not be asked or told. */
  readonly onQueueError: (error: unknown) => void;
}

/** Settles when the signal is aborted and all that ran is put back. */
export async function workOff(queue: JobQueue, options: WorkOptions): Promise<void> {
  const { kinds, slots, signal, onQueueError } = options;
  const running = new Set<Promise<void>>();
  while (!signal.aborted) {
    if (running.size >= slots()) {
      await Promise.race([...running, pause(ROOM_PAUSE_MS, signal)]);
      continue;
    }
    try {
      const claim = await queue.claim(kinds, signal);
      const work = seeThrough(queue, claim, options).finally(() => running.delete(work));
      running.add(work);
    } catch (error) {
      if (signal.aborted) break;
      onQueueError(error);
      await pause(QUEUE_PAUSE_MS, signal);
    }
  }
  await Promise.all(running);
}

async function seeThrough(queue: JobQueue, claim: Claim, options: WorkOptions): Promise<void> {
  const { onStart, onEnd, onQueueError } = options;
  const startedAt = performance.now();
  onStart?.(claim.job);
  let outcome: Outcome;
  try {
    outcome = await end(claim, options);
  } catch (error) {
    if (!isVarveError(error, "JOB_LOST")) onQueueError(error);
    outcome = { state: (await isCancelled(queue, claim.job.id)) ? "cancelled" : "left" };
  }
  onEnd?.(claim.job, outcome, (performance.now() - startedAt) / 1000);
}

/** @throws VarveError `JOB_LOST`, `QUEUE_UNAVAILABLE` */
async function end(claim: Claim, { work, signal }: WorkOptions): Promise<Outcome> {
  const both = AbortSignal.any([claim.signal, signal]);
  let result: unknown;
  try {
    both.throwIfAborted();
    result = await work(claim.job, both);
  } catch (thrown) {
    claim.signal.throwIfAborted();
    if (signal.aborted) {
      await claim.release();
      return { state: "left" };
    }
    const { code, message, hint } = toVarveError(thrown);
    const retry = isTransient(code) && claim.job.attempts < MAX_ATTEMPTS;
    await claim.fail({ code, message, hint }, { retry });
    return { state: retry ? "retried" : "failed", error: { code, message, hint } };
  }
  await claim.done(result);
  return { state: "done", result };
}

async function isCancelled(queue: JobQueue, id: string): Promise<boolean> {
  return (await queue.get(id).catch(() => undefined))?.state === "cancelled";
}

/** Ends early with the signal, and not by an error. */
async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}
