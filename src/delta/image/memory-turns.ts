/**
 * Turns for comparisons that take memory by what they compare: many small ones at the same time, a large one alone. What a comparison makes does not
 * depend on what runs beside it.
 */
export class MemoryTurns {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: { readonly bytes: number; readonly begin: () => void }[] = [];

  /** @param most bytes that are to be in use at the same time */
  constructor(most: number) {
    this.#most = most;
  }

  /** Waits for its turn, which come in order. What is larger than all that there may be counts as that. @throws what the work throws */
  async take<T>(bytes: number, work: () => Promise<T>): Promise<T> {
    const counted = Math.min(bytes, this.#most);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#waiting.push({ bytes: counted, begin: resolve });
    this.#next();
    await promise;
    try {
      return await work();
    } finally {
      this.#taken -= counted;
      this.#next();
    }
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#taken > 0 && this.#taken + first.bytes > this.#most) return;
      this.#taken += first.bytes;
      this.#waiting.shift();
      first.begin();
    }
  }
}
