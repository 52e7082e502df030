/** A number that only rises, and those who wait for it to pass a mark: how far a file can be read, how much may be sent. */
export class Rising {
  #value: number;
  readonly #waiters = new Set<{ readonly mark: number; readonly wake: () => void }>();

  constructor(value = 0) {
    this.#value = value;
  }

  get value(): number {
    return this.#value;
  }

  raise(value: number): void {
    if (value <= this.#value) return;
    this.#value = value;
    for (const waiter of this.#waiters) if (value > waiter.mark) waiter.wake();
  }

  /** Settles when the value is above `mark`; rejects with the signal's reason when that is aborted first. */
  async passed(mark: number, signal: AbortSignal): Promise<void> {
    if (this.#value > mark) return;
    signal.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const waiter = { mark, wake: resolve };
    const onAbort = (): void => reject(signal.reason as Error);
    this.#waiters.add(waiter);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      await promise;
    } finally {
      this.#waiters.delete(waiter);
      signal.removeEventListener("abort", onAbort);
    }
  }
}
