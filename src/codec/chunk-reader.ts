/**
 * Pulls chunks from a source one at a time, and stops waiting the moment a signal says so, whatever the source does.
 * Errors of the source pass as they are.
 */
export class ChunkReader implements AsyncDisposable {
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #signal: AbortSignal | undefined;
  #unread: Uint8Array | undefined;
  #waiting = false;
  #done = false;

  constructor(source: AsyncIterable<Uint8Array>, signal?: AbortSignal) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#signal = signal;
  }

  /** The next chunk, undefined at the end. @throws the source's error, or the signal's reason */
  async next(): Promise<Uint8Array | undefined> {
    this.#signal?.throwIfAborted();
    const unread = this.#unread;
    if (unread !== undefined) {
      this.#unread = undefined;
      return unread;
    }
    if (this.#done) return undefined;
    const result = await this.#pullOrAbort();
    if (result.done !== true) return result.value;
    this.#done = true;
    return undefined;
  }

  /** Makes the chunk the next one again. */
  unread(chunk: Uint8Array): void {
    this.#unread = chunk;
  }

  async #pull(): Promise<IteratorResult<Uint8Array>> {
    this.#waiting = true;
    try {
      return await this.#iterator.next();
    } catch (error) {
      this.#done = true;
      throw error;
    } finally {
      this.#waiting = false;
    }
  }

  async #pullOrAbort(): Promise<IteratorResult<Uint8Array>> {
    const signal = this.#signal;
    if (signal === undefined) return this.#pull();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const onAbort = (): void => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([this.#pull(), aborted]);
    } finally {
      signal.removeEventListener("abort", onAbort);
    }
  }

  /** Lets the source clean up. A source that still works on a chunk does so on its own, for it may take forever. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    const returned = this.#iterator.return?.();
    if (this.#waiting) returned?.catch(() => undefined);
    else await returned;
  }
}
