/**
 * A body as it arrives: taken off the connection as soon as it is there, up to a bound, so that every byte which came before the connection
 * broke is kept; streams drop what they still hold then.
 */
import type { Readable } from "node:stream";
import { finished } from "node:stream/promises";

/** Bytes taken and not given out yet, at which the connection has to wait. */
const MOST_BYTES = 1024 * 1024;
/** As many buffers as one write takes. */
const MOST_CHUNKS = 256;

export class Arriving {
  readonly #body: Readable;
  readonly #cut: number;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #taken = 0;
  #ended = false;
  #error: unknown;
  #wake: (() => void) | undefined;
  readonly #stop: () => void;

  /** @param signal breaks it off @param cut after so many bytes the connection is broken */
  constructor(body: Readable, signal: AbortSignal, cut: number = Infinity) {
    this.#body = body;
    this.#cut = cut;
    this.#stop = () => body.destroy();
    signal.addEventListener("abort", this.#stop, { once: true });
    if (signal.aborted) this.#stop();
    body.on("data", this.#take);
    finished(body, { writable: false })
      .catch((error: unknown) => {
        this.#error = error;
      })
      .finally(() => {
        signal.removeEventListener("abort", this.#stop);
        this.#ended = true;
        this.#wake?.();
      });
  }

  /** Nothing more will come. */
  get isOver(): boolean {
    return this.#ended || this.#body.destroyed;
  }

  /** What has come, a megabyte or so at most; nothing when it has ended, one way or the other. */
  async next(): Promise<Buffer[]> {
    while (this.#waiting.length === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const chunks = this.#waiting.splice(0, MOST_CHUNKS);
    for (const chunk of chunks) this.#bytes -= chunk.length;
    if (this.#bytes < MOST_BYTES && this.#body.isPaused()) this.#body.resume();
    return chunks;
  }

  /** @throws what broke it off */
  check(): void {
    if (this.#error !== undefined) throw this.#error;
    if (this.#taken >= this.#cut) throw new Error("cut off, though all of it was here");
  }

  /** Takes no more of it, and breaks the connection when there is more. */
  stop(): void {
    this.#body.off("data", this.#take);
    if (!this.#ended) this.#body.destroy();
  }

  readonly #take = (chunk: Buffer): void => {
    const kept = chunk.subarray(0, Math.max(0, this.#cut - this.#taken));
    if (kept.length > 0) {
      this.#waiting.push(kept);
      this.#bytes += kept.length;
      this.#taken += kept.length;
    }
    if (this.#taken >= this.#cut) this.#body.destroy();
    else if (this.#bytes >= MOST_BYTES) this.#body.pause();
    this.#wake?.();
  };
}
