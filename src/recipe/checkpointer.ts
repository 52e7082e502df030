/** Calls for a checkpoint of the ingest now and then, in the background and one at a time, so that a crash costs little. */
import type { Ingest } from "../store/types.ts";

export class Checkpointer {
  readonly #ingest: Ingest;
  readonly #every: number;
  #unsaved = 0;
  #running: Promise<void> | undefined;

  constructor(ingest: Ingest, every: number) {
    this.#ingest = ingest;
    this.#every = every;
  }

  /** Bytes are in place that the journal does not know of. */
  wrote(bytes: number): void {
    this.#unsaved += bytes;
    if (this.#unsaved >= this.#every && this.#running === undefined) this.#save();
  }

  /** Settles when no checkpoint is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  /** Saves what is unsaved, for a run that ends early. */
  async save(): Promise<void> {
    await this.#running;
    this.#save();
    await this.#running;
  }

  /** Never fails: a journal that cannot be written is no reason to stop a transfer, and writes and commit tell of bad disks. */
  #save(): void {
    this.#unsaved = 0;
    this.#running = this.#ingest
      .checkpoint()
      .catch(() => {})
      .finally(() => (this.#running = undefined));
  }
}
