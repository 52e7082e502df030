/** A token bucket that all bodies of one client share: `--limit-rate`. */
import type { Clock } from "./clock.ts";

/** How much may come at once after a pause, as time. */
const BURST_MS = 250;

export class RateLimiter {
  readonly #bytesPerMs: number;
  readonly #clock: Clock;
  /** When everything that was let through so far will have been paid for. */
  #paidAt: number;

  /** @param bytesPerSecond Positive. */
  constructor(bytesPerSecond: number, clock: Clock) {
    this.#bytesPerMs = bytesPerSecond / 1000;
    this.#clock = clock;
    this.#paidAt = clock.now();
  }

  /** Waits until `bytes` more may pass. Callers are served in the order in which they come. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const now = this.#clock.now();
    this.#paidAt = Math.max(this.#paidAt, now - BURST_MS) + bytes / this.#bytesPerMs;
    const wait = this.#paidAt - now;
    if (wait > 0) await this.#clock.sleep(wait, signal);
  }
}
