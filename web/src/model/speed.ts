/** Speed over time, of the whole of a transfer, in a bounded number of points: when they are too many, two become one. */

export interface SpeedPoint {
  /** Seconds since the first sample. */
  readonly at: number;
  /** Bytes a second: received, and of what is wanted. */
  readonly network: number;
  readonly done: number;
}

interface Sample {
  readonly at: number;
  readonly network: number;
  readonly done: number;
}

const MOST_POINTS = 600;
/** Over which a speed is measured, in seconds; less would show bursts of buffers. */
const WINDOW = 3;

export class SpeedSeries {
  #points: SpeedPoint[] = [];
  /** Of the last seconds. */
  #recent: Sample[] = [];
  #startedAt: number | undefined;
  /** Samples that become one point. */
  #stride = 1;
  #since = 0;

  get points(): readonly SpeedPoint[] {
    return this.#points;
  }

  /** @param now milliseconds; @param network, @param done bytes until now; fewer than before are a new beginning */
  sample(now: number, { network, done }: { readonly network: number; readonly done: number }): void {
    this.#startedAt ??= now;
    const at = (now - this.#startedAt) / 1000;
    const last = this.#recent.at(-1);
    if (last !== undefined && (network < last.network || done < last.done)) this.#recent = [];
    this.#recent.push({ at, network, done });
    while (this.#recent.length > 2 && at - (this.#recent[1]?.at ?? at) >= WINDOW) this.#recent.shift();
    const first = this.#recent[0];
    const elapsed = first === undefined ? 0 : at - first.at;
    if (first === undefined || elapsed <= 0) return;
    this.#since++;
    if (this.#since < this.#stride) return;
    this.#since = 0;
    this.#points.push({ at, network: (network - first.network) / elapsed, done: (done - first.done) / elapsed });
    if (this.#points.length > MOST_POINTS) this.#thin();
  }

  #thin(): void {
    this.#points = this.#points.filter((_, at) => at % 2 === 0);
    this.#stride *= 2;
  }
}
