/** Tells how much memory a table of contents takes while it is read, so that whoever reads several can stop in time. */

/** What readers of tables of contents are given. */
export interface TocReadOptions {
  /** Told of bytes that the table is about to take more. What it throws ends the reading. Default: nobody is told. */
  readonly onGrow?: ((bytes: number) => void) | undefined;
  /** Entries of the table, chunks too. Default half a million: the largest layers known have some 100,000. */
  readonly mostEntries?: number;
}

/** Entries after which it is looked at: they take less than a megabyte. */
const STEP = 4096;

export class TocGrowth {
  readonly #bytes: () => number;
  readonly #onGrow: TocReadOptions["onGrow"];
  #told = 0;
  #entries = 0;

  /** @param bytes that the table takes now */
  constructor(bytes: () => number, { onGrow }: TocReadOptions) {
    this.#bytes = bytes;
    this.#onGrow = onGrow;
  }

  /** Another entry was read. @throws what the one who is told throws */
  entry(): void {
    if (++this.#entries % STEP === 0) this.tell();
  }

  /** @throws what the one who is told throws */
  tell(): void {
    const now = this.#bytes();
    if (now > this.#told) this.#onGrow?.(now - this.#told);
    this.#told = Math.max(this.#told, now);
  }
}
