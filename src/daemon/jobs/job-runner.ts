/** Runs the daemon's jobs: so many of each kind at once as the configuration allows, each with a context that ends with its claim. */
import type { Daemon } from "../daemon.ts";
import type { ByteCounts } from "../../recipe/bytes.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { JOB_KINDS, checkJobInput } from "./job-input.ts";
import type { LiveFeed } from "./live-feed.ts";
import { runJob } from "./run-job.ts";
import type { Job, JobKind, JobQueue } from "./types.ts";
import { workOff, type Outcome } from "./work-off.ts";

export interface RunnerOptions {
  readonly daemon: Daemon;
  readonly queue: JobQueue;
  readonly feed: LiveFeed;
  /** Kinds that others work off. Default: none. */
  readonly leaves?: readonly JobKind[];
}

const MAX_WARNINGS = 100;

export class JobRunner implements AsyncDisposable {
  readonly #options: RunnerOptions;
  readonly #stopping = new AbortController();
  readonly #work: Promise<unknown>;
  readonly #off: () => void;
  #isCounting = false;
  #countAgain = false;

  constructor(options: RunnerOptions) {
    this.#options = options;
    const { daemon, queue, leaves = [] } = options;
    const signal = AbortSignal.any([daemon.signal, this.#stopping.signal]);
    const kinds = JOB_KINDS.filter((kind) => !leaves.includes(kind));
    this.#work = Promise.all(kinds.map((kind) => this.#workOff(kind, signal)));
    this.#off = queue.onChange(() => void this.#countQueue());
    void this.#countQueue();
  }

  /** Puts back what runs; its partial data stays, and the next one goes on with it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#work;
    this.#off();
  }

  #workOff(kind: JobKind, signal: AbortSignal): Promise<void> {
    const { daemon, queue } = this.#options;
    const { log, metrics } = daemon;
    return workOff(queue, {
      kinds: [kind],
      slots: () => this.#slotsOf(kind),
      signal,
      work: (job, bound) => this.#run(job, bound),
      onStart: ({ id, attempts }) => log.info({ job: id, kind, attempts }, "job started"),
      onEnd: (job, outcome, seconds) => {
        const { state } = outcome;
        if (state !== "left" && state !== "retried") metrics.jobEnded(kind, state, seconds);
        logEnd(daemon, job, outcome, seconds);
      },
      onQueueError: (error) => log.error({ error, kind }, "the queue cannot be asked"),
    });
  }

  #slotsOf(kind: JobKind): number {
    const { pulls, deltas } = this.#options.daemon.config().jobs;
    switch (kind) {
      case "pull":
        return pulls;
      case "delta":
        return deltas;
      case "gc":
      case "fsck":
        return 1;
    }
  }

  async #run(job: Job, signal: AbortSignal): Promise<unknown> {
    const { daemon, feed } = this.#options;
    const warnings = new Set<string>();
    const onProgress = (event: ProgressEvent): void => {
      if (event.type === "warning" && warnings.size < MAX_WARNINGS) warnings.add(event.message);
      if (event.type === "retry") daemon.metrics.retried(event.host);
      if (event.type === "fallback") daemon.metrics.fellBack(event.from);
      feed.publish(job.id, event);
    };
    const context = await daemon.context({ signal, onProgress });
    const input = checkJobInput(job.kind, job.input);
    const result = await runJob(job.kind, context, input, { deltaRoots: daemon.config().deltaRoots });
    if ("bytes" in result && typeof result.bytes === "object") this.#count(result.bytes);
    return withWarnings(result, warnings);
  }

  #count(bytes: ByteCounts): void {
    const { metrics } = this.#options.daemon;
    for (const kind of ["network", "local", "data", "zero"] as const) metrics.bytes(kind, bytes[kind]);
  }

  /** Once for all changes that come while it is asked. */
  async #countQueue(): Promise<void> {
    this.#countAgain = true;
    if (this.#isCounting) return;
    this.#isCounting = true;
    const { queue, daemon } = this.#options;
    while (this.#countAgain) {
      this.#countAgain = false;
      const depth = await queue.depth().catch(() => undefined);
      if (depth !== undefined) daemon.metrics.queue(depth);
    }
    this.#isCounting = false;
  }
}

/** What was warned of while it ran belongs to what came of it, where that has a place for warnings. */
function withWarnings<Result extends object>(result: Result, told: ReadonlySet<string>): Result {
  if (!("warnings" in result) || !Array.isArray(result.warnings)) return result;
  return { ...result, warnings: [...new Set([...(result.warnings as string[]), ...told])] };
}

function logEnd({ log }: Daemon, { id, kind }: Job, outcome: Outcome, seconds: number): void {
  const fields = { job: id, kind, seconds: Math.round(seconds * 1000) / 1000 };
  switch (outcome.state) {
    case "failed":
    case "retried": {
      const { code, message } = outcome.error;
      log.warn(
        { ...fields, code, reason: message },
        outcome.state === "failed" ? "job failed" : "job will be tried again",
      );
      return;
    }
    case "left":
      log.info(fields, "job left to whoever takes it next");
      return;
    case "done":
    case "cancelled":
      log.info(fields, `job ${outcome.state}`);
  }
}
