/** The feed of a queue's jobs: what the queue says has changed, and what those who work on them tell meanwhile. */
import { VarveError } from "../../errors/varve-error.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { isEnded } from "./is-ended.ts";
import { KnownProgress, putLast } from "./known-progress.ts";
import { Subscriber } from "./subscriber.ts";
import type { Job, JobEvent, JobFeed, JobQueue } from "./types.ts";

/** Jobs that progress is known of; more do not run at once. */
const MAX_JOBS = 256;
/** Jobs that one who follows all gets at the beginning, of each state. */
const MAX_SHOWN = 100;

export class LiveFeed implements JobFeed, Disposable {
  readonly #queue: JobQueue;
  readonly #onError: (error: unknown) => void;
  readonly #known = new Map<string, KnownProgress>();
  readonly #subscribers = new Set<Subscriber>();
  /** Jobs that have changed and were not read again yet. */
  readonly #changed = new Set<string>();
  readonly #off: () => void;
  #isReading = false;

  /** @param onError told when a job that has changed could not be read */
  constructor(queue: JobQueue, onError: (error: unknown) => void) {
    this.#queue = queue;
    this.#onError = onError;
    this.#off = queue.onChange((id) => this.#onChange(id));
  }

  /** For who works on the job. */
  publish(id: string, event: ProgressEvent): void {
    const known = this.#known.get(id) ?? new KnownProgress();
    putLast(this.#known, id, known, MAX_JOBS);
    known.add(event);
    this.#tell(id, { type: "progress", id, event });
  }

  async *subscribe(id: string | undefined, signal: AbortSignal): AsyncGenerator<JobEvent, void> {
    const subscriber = new Subscriber(id, signal);
    // Before the jobs are read, so that nothing is missed that changes meanwhile.
    this.#subscribers.add(subscriber);
    try {
      for (const job of await this.#jobsNow(id)) {
        subscriber.tell({ type: "job", job });
        for (const event of this.#known.get(job.id)?.all() ?? []) {
          subscriber.tell({ type: "progress", id: job.id, event });
        }
      }
      yield* subscriber.read();
    } finally {
      this.#subscribers.delete(subscriber);
    }
  }

  [Symbol.dispose](): void {
    this.#off();
  }

  async #jobsNow(id: string | undefined): Promise<readonly Job[]> {
    if (id !== undefined) {
      const job = await this.#queue.get(id);
      if (job === undefined) throw new VarveError("JOB_NOT_FOUND", `there is no job ${id.slice(0, 100)}`);
      return [job];
    }
    const queued = await this.#queue.list({ state: "queued", limit: MAX_SHOWN });
    const running = await this.#queue.list({ state: "running", limit: MAX_SHOWN });
    // The newest first is how they are listed; they are told as if they happened.
    return [...running, ...queued].toReversed();
  }

  #onChange(id: string): void {
    if (!this.#known.has(id) && !this.#isFollowed(id)) return;
    this.#changed.add(id);
    if (!this.#isReading) void this.#readChanged();
  }

  /** One after the other, each as it is by then: a job that changes faster than it can be read is read less often. */
  async #readChanged(): Promise<void> {
    this.#isReading = true;
    for (const id of this.#changed) {
      this.#changed.delete(id);
      try {
        const job = await this.#queue.get(id);
        if (job === undefined || isEnded(job)) this.#known.delete(id);
        if (job !== undefined) this.#tell(id, { type: "job", job });
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#isReading = false;
  }

  #isFollowed(id: string): boolean {
    return [...this.#subscribers].some((subscriber) => subscriber.follows(id));
  }

  #tell(id: string, event: JobEvent): void {
    for (const subscriber of this.#subscribers) if (subscriber.follows(id)) subscriber.tell(event);
  }
}
