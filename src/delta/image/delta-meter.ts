/** Tells how far the comparison of two images has come, at most ten times a second. */
import type { Digest } from "../../oci/digest.ts";
import { Rate, Throttle } from "../../recipe/progress-meter.ts";
import type { DeltaProgress, ProgressSink } from "../../recipe/progress.ts";

export interface DeltaMeterOptions {
  readonly digest: Digest;
  readonly phase: Extract<DeltaProgress["phase"], "fingerprinting" | "computing">;
  /** Bytes that will be read. */
  readonly total: number;
  readonly emit: ProgressSink;
  /** Milliseconds, monotonic. Default `performance.now`. */
  readonly clock?: () => number;
}

export class DeltaMeter {
  readonly #options: DeltaMeterOptions;
  readonly #clock: () => number;
  readonly #throttle: Throttle;
  readonly #rate: Rate;

  /** Tells that it begins. */
  constructor(options: DeltaMeterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#throttle = new Throttle(this.#clock);
    this.#rate = new Rate(this.#clock(), 0);
    this.moveTo(0);
  }

  /** So many bytes were read, in all. */
  moveTo(done: number): void {
    const now = this.#throttle.due();
    if (now === undefined) return;
    const { digest, phase, total, emit } = this.#options;
    const rate = this.#rate.sample(now, done);
    const left = Math.max(0, total - done);
    const etaSeconds = left === 0 ? 0 : rate > 0 ? Math.ceil(left / rate) : null;
    emit({ type: "delta", digest, phase, done, total, bytesPerSecond: Math.round(rate), etaSeconds });
  }

  finish(): void {
    tellPhase(this.#options, "done");
  }
}

/** Of what there is nothing more to tell of than that. */
export function tellPhase(
  { digest, total, emit }: Pick<DeltaMeterOptions, "digest" | "total" | "emit">,
  phase: Extract<DeltaProgress["phase"], "queued" | "common" | "done">,
): void {
  const done = phase === "queued" ? 0 : total;
  emit({ type: "delta", digest, phase, done, total, bytesPerSecond: 0, etaSeconds: phase === "queued" ? null : 0 });
}
