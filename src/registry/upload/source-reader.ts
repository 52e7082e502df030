/** Bytes of a source from a place on, in pieces of a size that suits who asks. */
const EMPTY = new Uint8Array(0);

export class SourceReader {
  readonly #iterator: AsyncIterator<Uint8Array>;
  #rest: Uint8Array = EMPTY;
  #position: number;
  #waiting = false;

  constructor(source: AsyncIterable<Uint8Array>, position: number) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#position = position;
  }

  /** Place in the blob of the next byte. */
  get position(): number {
    return this.#position;
  }

  /** Somebody waits for bytes, maybe in vain: whoever comes next needs a reader of its own. */
  get isBusy(): boolean {
    return this.#waiting;
  }

  /** At least one byte and `limit` at most; undefined at the end. */
  async next(limit: number): Promise<Uint8Array | undefined> {
    while (this.#rest.length === 0) {
      const { done, value } = await this.#fetch();
      if (done === true) return undefined;
      this.#rest = value;
    }
    const piece = this.#rest.subarray(0, limit);
    this.#rest = this.#rest.subarray(piece.length);
    this.#position += piece.length;
    return piece;
  }

  /** Lets go of the source, without waiting for that. */
  close(): void {
    this.#rest = EMPTY;
    // It was left because something else failed, or because it is over.
    void Promise.resolve(this.#iterator.return?.()).catch(() => undefined);
  }

  async #fetch(): Promise<IteratorResult<Uint8Array>> {
    this.#waiting = true;
    try {
      return await this.#iterator.next();
    } finally {
      this.#waiting = false;
    }
  }
}
