/**
 * Turns thousands of byte counts a second into at most ten progress events. No timers: a meter speaks when something
 * happens, so it can never keep a process alive, and tests drive its clock by hand.
 */
import type { Digest } from "../oci/digest.ts";
import { noBytes, type ByteCounts } from "./bytes.ts";
import type { ProgressSink } from "./progress.ts";

const INTERVAL_MS = 100;
/** Time constant of the smoothed rate. */
const SMOOTHING_MS = 3000;

export interface MeterOptions {
  readonly digest: Digest;
  /** Bytes of the whole; unknown for unpacking a layer whose uncompressed size nobody recorded. */
  readonly total?: number;
  /** Bytes that were there at the start. Default 0. */
  readonly done?: number;
  /** Of an {@link UnpackMeter}: the layer is compressed another way. Default false. */
  readonly compresses?: boolean;
  readonly emit: ProgressSink;
  /** Milliseconds, monotonic. Default `performance.now`. */
  readonly clock?: () => number;
}

/** Lets one event through per interval, the first at once. */
export class Throttle {
  readonly #clock: () => number;
  #last = -Infinity;

  constructor(clock: () => number) {
    this.#clock = clock;
  }

  /** The time if it is time, else undefined. */
  due(): number | undefined {
    const now = this.#clock();
    if (now - this.#last < INTERVAL_MS) return undefined;
    this.#last = now;
    return now;
  }
}

/**
 * Bytes per second, smoothed exponentially over time, whatever the distance of the samples. While less time has passed than the smoothing
 * looks back, all of that time counts alike: else the first seconds would tell of a fraction of the speed, and of many times the wait.
 */
export class Rate {
  #time: number;
  #bytes: number;
  /** Sum of weighted rates, and of the weights. */
  #sum = 0;
  #weight = 0;

  constructor(time: number, bytes: number) {
    this.#time = time;
    this.#bytes = bytes;
  }

  sample(time: number, bytes: number): number {
    const elapsed = time - this.#time;
    if (elapsed > 0) {
      const current = (Math.max(0, bytes - this.#bytes) * 1000) / elapsed;
      const weight = 1 - Math.exp(-elapsed / SMOOTHING_MS);
      this.#sum += weight * (current - this.#sum);
      this.#weight += weight * (1 - this.#weight);
      this.#time = time;
      this.#bytes = bytes;
    }
    return this.#weight === 0 ? 0 : this.#sum / this.#weight;
  }
}

/** Counts the bytes of one blob on their way. */
export class ProgressMeter {
  readonly #options: MeterOptions;
  readonly #clock: () => number;
  readonly #throttle: Throttle;
  readonly #rate: Rate;
  readonly #counts: ByteCounts = noBytes();
  #done: number;
  #sent: number | undefined;
  #unsent = true;

  constructor(options: MeterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
    this.#throttle = new Throttle(this.#clock);
    this.#done = options.done ?? 0;
    this.#rate = new Rate(this.#clock(), this.#done);
  }

  /** Bytes by kind so far. Owned by the meter. */
  get counts(): Readonly<ByteCounts> {
    return this.#counts;
  }

  get done(): number {
    return this.#done;
  }

  /** Bytes that came from somewhere, whether or not they were of use. */
  count(kind: keyof ByteCounts, bytes: number): void {
    this.#counts[kind] += bytes;
    this.#tell();
  }

  /** Bytes that went to a registry, whether or not it kept them. */
  countSent(bytes: number): void {
    this.#sent = (this.#sent ?? 0) + bytes;
    this.#tell();
  }

  /** What is in place ends here: forwards, or back where some turn out not to be. */
  moveTo(position: number): void {
    if (position !== this.#done) this.advance(position - this.#done);
  }

  /** Bytes of the target that are in place; negative when some turn out not to be. */
  advance(bytes: number): void {
    this.#done += bytes;
    this.#tell();
  }

  /** Sends the last state, unless it was sent. */
  finish(): void {
    if (this.#unsent) this.#send(this.#clock());
  }

  #tell(): void {
    this.#unsent = true;
    const now = this.#throttle.due();
    if (now !== undefined) this.#send(now);
  }

  #send(now: number): void {
    this.#unsent = false;
    const { digest, total = 0, emit } = this.#options;
    const rate = this.#rate.sample(now, this.#done);
    const left = Math.max(0, total - this.#done);
    emit({
      type: "progress",
      digest,
      done: this.#done,
      total,
      bytesPerSecond: Math.round(rate),
      etaSeconds: left === 0 ? 0 : rate > 0 ? Math.ceil(left / rate) : null,
      ...(this.#sent !== undefined && { sent: this.#sent }),
      ...this.#counts,
    });
  }
}

/** Counts the uncompressed bytes and the entries of one layer while it is unpacked. */
export class UnpackMeter {
  readonly #options: MeterOptions;
  readonly #throttle: Throttle;
  #done = 0;
  #entries = 0;
  #unsent = true;

  constructor(options: MeterOptions) {
    this.#options = options;
    this.#throttle = new Throttle(options.clock ?? (() => performance.now()));
  }

  advance(bytes: number, entries: number): void {
    this.#done += bytes;
    this.#entries += entries;
    this.#unsent = true;
    if (this.#throttle.due() !== undefined) this.#send();
  }

  finish(): void {
    if (this.#options.compresses === true) this.#send(this.#done);
    else if (this.#unsent) this.#send();
  }

  #send(total: number | null = this.#options.total ?? null): void {
    this.#unsent = false;
    const { digest, compresses = false, emit } = this.#options;
    const event = { type: "unpack", digest, done: this.#done, total, entries: this.#entries } as const;
    emit(compresses ? { ...event, compresses } : event);
  }
}
