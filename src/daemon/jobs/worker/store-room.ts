/** Keeps a worker's store from growing: between jobs, for what one has pulled must not go before it is compared. */
export class StoreRoom {
  readonly #makeRoom: (() => Promise<void>) | undefined;
  #users = 0;
  #making: Promise<void> | undefined;
  #wanted = Promise.withResolvers<void>();

  /** @param makeRoom takes out what is too much; nothing where there is no limit */
  constructor(makeRoom: (() => Promise<void>) | undefined) {
    this.#makeRoom = makeRoom;
  }

  /** Does the work while nothing is taken out. */
  async use<T>(work: () => Promise<T>): Promise<T> {
    while (this.#making !== undefined) await this.#making;
    this.#users++;
    try {
      return await work();
    } finally {
      this.#users--;
      this.#afterUse();
    }
  }

  /** Settles when nothing is taken out any more. */
  async settled(): Promise<void> {
    await this.#making;
  }

  /** New work waits from the end of the first one on, else a busy worker would never come to it. */
  #afterUse(): void {
    const makeRoom = this.#makeRoom;
    if (makeRoom === undefined) return;
    if (this.#making === undefined) {
      this.#wanted = Promise.withResolvers<void>();
      this.#making = this.#wanted.promise.then(makeRoom).finally(() => (this.#making = undefined));
    }
    if (this.#users === 0) this.#wanted.resolve();
  }
}
