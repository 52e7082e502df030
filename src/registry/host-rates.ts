/**
 * How fast a registry was: how long it takes to begin an answer, and how much comes per second over all connections together.
 * Planners weigh requests against bytes with it.
 */

export interface HostRates {
  /** Milliseconds from a request to its answer: the least of the last few, so that connecting and logging in do not count. */
  readonly latencyMs?: number;
  /** Of all bodies that came at the same time, as fast as they were used. */
  readonly bytesPerSecond?: number;
}

/** So many answers, and spans of time with bodies in them, are remembered of each registry. */
const LAST = 8;
/** Fewer bytes tell more of the latency than of the line. */
const TELLING_BYTES = 256 * 1024;
/** Registries that are remembered. */
const MOST_HOSTS = 100;

/** Bodies over a time. */
export interface Span {
  bytes: number;
  ms: number;
}

/** One body that is on its way. Times are a clock's milliseconds. */
export interface MeasuredBody {
  received(bytes: number): void;
  end(now: number): void;
}

export class RatesBook {
  readonly #hosts = new Map<string, MeasuredHost>();

  /** @param registry as the reference names it, whoever answers in its place */
  answered(registry: string, ms: number): void {
    this.#host(registry).answered(ms);
  }

  /** A body begins. */
  body(registry: string, now: number): MeasuredBody {
    return this.#host(registry).body(now);
  }

  /** All that came from a registry, and how many milliseconds something was under way from it. */
  total(registry: string): Readonly<Span> {
    return this.#hosts.get(registry)?.total ?? { bytes: 0, ms: 0 };
  }

  /** What was measured of a registry; nothing of one that was not asked for a blob yet. */
  of(registry: string): HostRates {
    return this.#hosts.get(registry)?.rates ?? {};
  }

  #host(registry: string): MeasuredHost {
    const host = this.#hosts.get(registry) ?? new MeasuredHost();
    this.#hosts.delete(registry);
    this.#hosts.set(registry, host);
    if (this.#hosts.size > MOST_HOSTS) this.#hosts.delete(this.#hosts.keys().next().value!);
    return host;
  }
}

class MeasuredHost {
  readonly #latencies: number[] = [];
  readonly #spans: Span[] = [];
  readonly #total: Span = { bytes: 0, ms: 0 };
  /** Bodies under way, since when, and what they have brought since then. */
  #bodies = 0;
  #since = 0;
  #bytes = 0;

  get total(): Readonly<Span> {
    return this.#total;
  }

  get rates(): HostRates {
    const sum = { bytes: 0, ms: 0 };
    for (const { bytes, ms } of this.#spans) {
      sum.bytes += bytes;
      sum.ms += ms;
    }
    return {
      ...(this.#latencies.length > 0 && { latencyMs: Math.min(...this.#latencies) }),
      ...(sum.ms > 0 && { bytesPerSecond: Math.round((sum.bytes * 1000) / sum.ms) }),
    };
  }

  answered(ms: number): void {
    keep(this.#latencies, Math.max(0, ms));
  }

  body(now: number): MeasuredBody {
    if (this.#bodies++ === 0) this.#begin(now);
    return {
      received: (bytes) => {
        this.#bytes += bytes;
      },
      end: (at) => {
        this.#bodies--;
        if (this.#bytes < TELLING_BYTES) return;
        // Clocks count whole milliseconds.
        const span = { bytes: this.#bytes, ms: Math.max(1, at - this.#since) };
        keep(this.#spans, span);
        this.#total.bytes += span.bytes;
        this.#total.ms += span.ms;
        this.#begin(at);
      },
    };
  }

  #begin(now: number): void {
    this.#since = now;
    this.#bytes = 0;
  }
}

function keep<T>(list: T[], item: T): void {
  list.push(item);
  if (list.length > LAST) list.shift();
}
