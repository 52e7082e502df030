/** Those who wait for the contiguous front of an ingest to pass a position, and what ends their waiting. */

interface Waiter {
  readonly position: number;
  readonly settle: (error?: unknown) => void;
}

export class FrontWaiters {
  readonly #waiters = new Set<Waiter>();

  /** Settles when {@link advance} passes `position`; rejects when `signal` aborts or {@link fail} is called. */
  wait(position: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const abort = (): void => waiter.settle(signal?.reason);
      const waiter: Waiter = {
        position,
        settle: (error) => {
          this.#waiters.delete(waiter);
          signal?.removeEventListener("abort", abort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener("abort", abort, { once: true });
    });
  }

  advance(front: number): void {
    for (const waiter of this.#waiters) if (front > waiter.position) waiter.settle();
  }

  /** Wakes all, whatever they wait for. */
  release(): void {
    for (const waiter of this.#waiters) waiter.settle();
  }

  fail(error: unknown): void {
    for (const waiter of this.#waiters) waiter.settle(error);
  }
}
