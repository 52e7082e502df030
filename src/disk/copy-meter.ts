/** Turns the pieces of a copy into at most ten progress events a second. Speed and time left go by data, for holes take no time. */
import { Rate, Throttle } from "../recipe/progress-meter.ts";
import type { DiskProgress, ProgressSink } from "../recipe/progress.ts";

export interface CopyMeterOptions {
  readonly path: string;
  readonly phase: DiskProgress["phase"];
  /** The file's length. */
  readonly total: number;
  /** How much of that is data. */
  readonly dataBytes: number;
  readonly emit: ProgressSink;
  /** Bytes written so far. */
  readonly copied: () => number;
  /** Milliseconds, monotonic. Default `performance.now`. */
  readonly clock?: () => number;
}

export class CopyMeter {
  readonly #options: CopyMeterOptions;
  readonly #clock: () => number;
  readonly #throttle: Throttle;
  readonly #rate: Rate;
  #done = 0;
  #data = 0;

  constructor(options: CopyMeterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#throttle = new Throttle(this.#clock);
    this.#rate = new Rate(this.#clock(), 0);
  }

  /** Bytes of the file's length that are dealt with, and how many of them were data. */
  advance(bytes: number, data: number): void {
    this.#done += bytes;
    this.#data += data;
    const now = this.#throttle.due();
    if (now !== undefined) this.#send(now);
  }

  finish(): void {
    this.#send(this.#clock());
  }

  #send(now: number): void {
    const { path, phase, total, dataBytes, emit, copied } = this.#options;
    const rate = this.#rate.sample(now, this.#data);
    const left = Math.max(0, dataBytes - this.#data);
    emit({
      type: "disk",
      path,
      phase,
      done: this.#done,
      total,
      copied: copied(),
      bytesPerSecond: Math.round(rate),
      etaSeconds: left === 0 ? 0 : rate > 0 ? Math.ceil(left / rate) : null,
    });
  }
}
