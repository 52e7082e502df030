/**
 * How long to wait before asking again: exponential with full jitter, so that many who failed
 * together do not come back together. A failure passes in seconds, a spent quota in minutes, so each has its own pace and
 * its own count; `--retry-max-time` bounds both.
 */
import type { Settings } from "./options.ts";

export type Pace = "failure" | "quota";

interface Delays {
  readonly firstMs: number;
  readonly longestMs: number;
}

const DELAYS: Readonly<Record<Pace, Delays>> = {
  failure: { firstMs: 500, longestMs: 30_000 },
  quota: { firstMs: 10_000, longestMs: 240_000 },
};

/** A quota may be waited for as long as time allows; this only ends it for a registry that names no time worth waiting. */
const MOST_QUOTA_WAITS = 50;

/** A registry that asks for more is asked again after this; its limits are often given for the whole day. */
const LONGEST_RETRY_AFTER_MS = 120_000;

export class BackOff {
  readonly #settings: Settings;
  readonly #waits: Record<Pace, number> = { failure: 0, quota: 0 };
  #since: number;

  constructor(settings: Settings) {
    this.#settings = settings;
    this.#since = settings.clock.now();
  }

  /** Waits since the last progress. */
  get waits(): number {
    return this.#waits.failure + this.#waits.quota;
  }

  /** There was progress: counts and time begin anew. */
  restart(): void {
    this.#waits.failure = 0;
    this.#waits.quota = 0;
    this.#since = this.#settings.clock.now();
  }

  /** So many milliseconds were not ours to use. */
  excuse(ms: number): void {
    this.#since += ms;
  }

  /**
   * Milliseconds to wait now, and which wait of its pace it is; undefined when it is time to give up.
   *
   * @param retryAfterMs What the registry asked for. Who names a time is not made to wait by our own guess about quotas.
   */
  next(pace: Pace, retryAfterMs: number | undefined): { delayMs: number; attempt: number } | undefined {
    const { retries, retryMaxTimeMs, clock } = this.#settings;
    const most = pace === "quota" && retries > 0 ? Math.max(retries, MOST_QUOTA_WAITS) : retries;
    if (this.#waits[pace] >= most) return undefined;
    const { firstMs, longestMs } = DELAYS[retryAfterMs === undefined ? pace : "failure"];
    const jitter = clock.random() * Math.min(longestMs, firstMs * 2 ** this.#waits[pace]);
    const delayMs = Math.round(Math.max(jitter, Math.min(retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS)));
    if (clock.now() + delayMs - this.#since > retryMaxTimeMs) return undefined;
    this.#waits[pace]++;
    return { delayMs, attempt: this.#waits[pace] };
  }
}
