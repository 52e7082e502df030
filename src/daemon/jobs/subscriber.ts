/** One who follows jobs. What it has not read yet is bounded: of each thing that changes only the newest is kept for it. */
import { isEnded } from "./is-ended.ts";
import { progressKey } from "./known-progress.ts";
import type { JobEvent } from "./types.ts";

/** Jobs and blobs that have changed and were not read. A reader that is that far behind has gone away, or may as well begin again. */
const MAX_WAITING = 8192;

export class Subscriber {
  /** Of one job, or of all. */
  readonly id: string | undefined;
  readonly #signal: AbortSignal;
  readonly #waiting = new Map<string, JobEvent>();
  #wake: (() => void) | undefined;
  #told = 0;
  #hasOverflown = false;

  constructor(id: string | undefined, signal: AbortSignal) {
    this.id = id;
    this.#signal = signal;
  }

  follows(id: string): boolean {
    return this.id === undefined || this.id === id;
  }

  tell(event: JobEvent): void {
    const key = this.#keyOf(event);
    // Again at the end, so that what it was told after something else is also read after it.
    this.#waiting.delete(key);
    if (this.#waiting.size >= MAX_WAITING) this.#hasOverflown = true;
    else this.#waiting.set(key, event);
    this.#wake?.();
  }

  /** Ends after the end of the one job, with the signal, and when the reader is too far behind: it gets all anew when it comes again. */
  async *read(): AsyncGenerator<JobEvent, void> {
    while (!this.#signal.aborted) {
      const event = this.#next();
      if (event !== undefined) {
        yield event;
        if (this.id !== undefined && event.type === "job" && isEnded(event.job)) return;
      } else if (this.#hasOverflown) return;
      else await this.#more();
    }
  }

  #next(): JobEvent | undefined {
    for (const [key, event] of this.#waiting) {
      this.#waiting.delete(key);
      return event;
    }
    return undefined;
  }

  async #more(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const wake = (): void => resolve();
    this.#wake = wake;
    this.#signal.addEventListener("abort", wake, { once: true });
    await promise;
    this.#signal.removeEventListener("abort", wake);
    this.#wake = undefined;
  }

  #keyOf(event: JobEvent): string {
    if (event.type === "job") return `job ${event.job.id}`;
    const key = progressKey(event.event);
    return `${event.id} ${key ?? `once ${this.#told++}`}`;
  }
}
