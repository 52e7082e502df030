/**
 * Lets many who have work that cannot wait within it (copying what is in memory) take turns with everything else that the event loop does: a few of
 * them each time around, so that a small request never waits for hundreds of large ones.
 */
export class Turns {
  readonly #each: number;
  #waiting: (() => void)[] = [];
  #planned = false;

  /** @param each so many each time around */
  constructor(each: number) {
    this.#each = each;
  }

  /** Settles when it is the caller's turn; first come, first served. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#plan();
    });
  }

  #plan(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(() => {
      this.#planned = false;
      for (const resolve of this.#waiting.splice(0, this.#each)) resolve();
      if (this.#waiting.length > 0) this.#plan();
    });
  }
}
