/** Lets a long run of synchronous calls be interrupted, and others have the thread now and then. */
import { setImmediate } from "node:timers/promises";

/** A file costs a few microseconds, so this is about a millisecond. */
const EVERY = 256;

export class Breather {
  readonly #signal: AbortSignal | undefined;
  #count = 0;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
  }

  /** @throws the signal's reason */
  async breathe(): Promise<void> {
    if (++this.#count % EVERY !== 1) return;
    await setImmediate();
    this.#signal?.throwIfAborted();
  }
}
