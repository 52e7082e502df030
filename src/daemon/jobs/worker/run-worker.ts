/** What `varve worker` does: works off the delta jobs of a shared queue until it is told to stop. */
import type { ProgressEvent } from "../../../recipe/progress.ts";
import { toVarveError } from "../../../errors/from-system.ts";
import type { TransferContext } from "../../../transfer/context.ts";
import type { DeltaCreated } from "../../../transfer/deltas/create-types.ts";
import { placeOf } from "../postgres/connection.ts";
import { PostgresJobs } from "../postgres/postgres-jobs.ts";
import type { Job } from "../types.ts";
import { workOff, type Outcome } from "../work-off.ts";
import { makeSharedDelta } from "./make-shared-delta.ts";
import { StoreRoom } from "./store-room.ts";

export interface WorkerLog {
  info(message: string): void;
  warn(message: string): void;
}

export interface WorkerOptions {
  /** `postgres://...` */
  readonly url: string;
  /** At once. */
  readonly jobs: number;
  /** After each job images go that were not used for the longest, until the store takes no more than so many bytes. Default: none go. */
  readonly keepBytes?: number;
  /** Over the worker's own store. */
  readonly context: (run: Pick<TransferContext, "signal" | "onProgress">) => Promise<TransferContext>;
  /** Puts back what it is at, and ends. */
  readonly signal: AbortSignal;
  readonly log: WorkerLog;
}

/** How many jobs came to which end here. */
export interface WorkerResult {
  readonly done: number;
  readonly failed: number;
  /** Put back, cancelled or lost. */
  readonly left: number;
}

/** @throws VarveError `QUEUE_UNAVAILABLE` when the queue cannot be reached at the beginning; later it is tried again and again */
export async function runWorker(options: WorkerOptions): Promise<WorkerResult> {
  const { url, jobs, signal, log } = options;
  await using queue = new PostgresJobs({ url, onWarning: (warning) => log.warn(messageOf(warning)) });
  await queue.connect();
  log.info(`working off ${placeOf(url)}, ${jobs} at once`);
  const room = new StoreRoom(roomMaker(options));
  const counts = { done: 0, failed: 0, left: 0 };
  await workOff(queue, {
    kinds: ["delta"],
    slots: () => jobs,
    signal,
    work: (job, bound) => room.use(() => work(queue, job, bound, options)),
    onStart: (job) => log.info(`job ${job.id}: ${nameOf(job)}, attempt ${job.attempts}`),
    onEnd: (job, outcome, seconds) => {
      counts[countedAs(outcome)]++;
      log.info(`job ${job.id}: ${told(outcome)}, after ${seconds.toFixed(1)} s`);
    },
    onQueueError: (error) => log.warn(messageOf(error)),
  });
  await room.settled();
  return counts;
}

async function work(
  queue: PostgresJobs,
  job: Job,
  signal: AbortSignal,
  { context, log }: WorkerOptions,
): Promise<DeltaCreated> {
  let hasBegun = false;
  const onProgress = (event: ProgressEvent): void => {
    queue.tellProgress(job.id, event);
    if (event.type === "warning") log.warn(`job ${job.id}: ${event.message}`);
    if (event.type === "delta" && !hasBegun) {
      hasBegun = true;
      log.info(`job ${job.id}: both images are here, comparing`);
    }
  };
  return makeSharedDelta(await context({ signal, onProgress }), job.input);
}

/** Takes images out as `varve prune --keep-storage` does. What cannot be done is told, and no reason to stop. */
function roomMaker({ keepBytes, context, signal, log }: WorkerOptions): (() => Promise<void>) | undefined {
  if (keepBytes === undefined) return undefined;
  return async () => {
    try {
      const { prune } = await import("../../../transfer/prune.ts");
      const { removed } = await prune(await context({ signal, onProgress: () => {} }), { keepBytes });
      if (removed.length > 0) log.info(`took out ${removed.map(({ name }) => name).join(", ")}`);
    } catch (error) {
      if (!signal.aborted) log.warn(messageOf(error));
    }
  };
}

function countedAs({ state }: Outcome): keyof WorkerResult {
  return state === "done" ? "done" : state === "failed" ? "failed" : "left";
}

function told(outcome: Outcome): string {
  switch (outcome.state) {
    case "done": {
      const { deltaBlobBytes, blobBytes, pushed } = outcome.result as DeltaCreated;
      return `done, ${deltaBlobBytes} bytes instead of ${blobBytes}${pushed === null ? "" : `, pushed to ${pushed}`}`;
    }
    case "failed":
      return `failed with ${outcome.error.code}: ${outcome.error.message}`;
    case "retried":
      return `will be tried again, ${outcome.error.code}: ${outcome.error.message}`;
    case "cancelled":
      return "cancelled";
    case "left":
      return "left to whoever takes it next";
  }
}

function nameOf({ input }: Job): string {
  return "base" in input ? `delta from ${input.base} to ${input.target}` : "no delta";
}

function messageOf(error: unknown): string {
  const { code, message } = toVarveError(error);
  return `${code}: ${message}`;
}
