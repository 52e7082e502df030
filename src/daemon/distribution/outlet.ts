/** A response as a place for bytes: one chunk at a time, each of them taken by the kernel before the next, until whoever reads has gone. */
import type { ServerResponse } from "node:http";

export class Outlet implements Disposable {
  readonly #response: ServerResponse;
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;
  #gone: boolean;

  /** @param signal ends it as the client's leaving does, and breaks the connection */
  constructor(response: ServerResponse, signal: AbortSignal) {
    this.#response = response;
    this.#signal = signal;
    this.#gone = response.destroyed;
    response.once("close", this.#leave);
    signal.addEventListener("abort", this.#leave, { once: true });
    if (signal.aborted) this.#leave();
  }

  /** Whether there is nobody left to send to. */
  get gone(): boolean {
    return this.#gone;
  }

  /** @returns whether it was taken and may be overwritten; else the client is gone, and somebody may still look at the chunk */
  write(chunk: Uint8Array): Promise<boolean> {
    if (this.#gone) return Promise.resolve(false);
    return new Promise((resolve) => {
      // Node never calls back for what waits behind another response of the same connection when that breaks.
      this.#wake = () => resolve(false);
      this.#response.write(chunk, (error) => {
        if (error !== null && error !== undefined) this.#leave();
        resolve(!this.#gone);
      });
    });
  }

  readonly #leave = (): void => {
    this.#gone = true;
    this.#response.destroy();
    this.#wake?.();
  };

  [Symbol.dispose](): void {
    this.#response.off("close", this.#leave);
    this.#signal.removeEventListener("abort", this.#leave);
  }
}
