/**
 * Takes items from an iterator and lets go of it at once when aborted: a source that is deaf to its signal cannot hold up
 * the others. One listener for its whole life; racing each item against a long-lived promise would leak a reaction per item.
 */
export class AbortableIterator<T> {
  readonly #iterator: AsyncIterator<T, unknown>;
  readonly #signal: AbortSignal;
  #reject: ((reason: unknown) => void) | undefined;

  constructor(source: AsyncIterable<T>, signal: AbortSignal) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#signal = signal;
    signal.addEventListener("abort", this.#onAbort);
  }

  readonly #onAbort = (): void => this.#reject?.(this.#signal.reason);

  /** The next item; undefined at the end. @throws the signal's reason, or what the source throws */
  async next(): Promise<T | undefined> {
    this.#signal.throwIfAborted();
    const result = await new Promise<IteratorResult<T, unknown>>((resolve, reject) => {
      this.#reject = reject;
      this.#iterator.next().then(resolve, reject);
    });
    return result.done === true ? undefined : result.value;
  }

  /** Leaves the source; never waits for it. */
  close(): void {
    this.#signal.removeEventListener("abort", this.#onAbort);
    this.#iterator.return?.().then(undefined, () => {});
  }
}
