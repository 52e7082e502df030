/** Those who wait until something has changed; they look for themselves what that was. */
export class Waiters {
  readonly #waiting = new Set<() => void>();

  /**
   * From now on, so that who listens before it looks misses nothing. `happens` rejects with the signal's reason.
   * @param atTheLatest milliseconds after which it happens in any case. Default: never
   */
  listen(signal: AbortSignal, atTheLatest?: number): Disposable & { readonly happens: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Nobody may be waiting yet when it comes to this.
    promise.catch(() => undefined);
    const wake = (): void => resolve();
    const timer = atTheLatest === undefined ? undefined : setTimeout(wake, atTheLatest);
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(wake);
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#waiting.delete(wake);
    };
    return { happens: promise, [Symbol.dispose]: end };
  }

  wake(): void {
    for (const wake of this.#waiting) wake();
  }
}
