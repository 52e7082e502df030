/**
 * Who is asked next and when: failover along the chain of mirrors, then back-off with
 * full jitter and another round (§9). Progress starts the count anew, so a long blob over a bad line ends in the end. A
 * spent quota (REGISTRY_QUOTA) is waited for in minutes rather than seconds, and counted apart.
 */
import { VarveError } from "../errors/varve-error.ts";
import { BackOff } from "./back-off.ts";
import type { TransportEvent } from "./blob-source.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Settings } from "./options.ts";
import { interrupted, isThrottle, RegistryFailure } from "./transport/failure.ts";

/** A mirror that breaks this often in a row, with less than {@link LITTLE} each time, is left for the next one. */
const MOST_POOR_TRIES = 3;
const LITTLE = 1024 * 1024;

export interface Caller {
  readonly signal?: AbortSignal | undefined;
  readonly onEvent?: ((event: TransportEvent) => void) | undefined;
}

export class Attempts {
  readonly #settings: Settings;
  readonly #caller: Caller;
  /** Those that have not failed for good. */
  #candidates: Endpoint[];
  readonly #upstream: Endpoint;
  readonly #failures = new Map<Endpoint, VarveError>();
  #index = 0;
  readonly #backOff: BackOff;
  /** Bytes since the last failure. */
  #carried = 0;
  #poorTries = 0;
  /** Longest `Retry-After` of the round. */
  #retryAfterMs: number | undefined;

  /** @param endpoints In the order in which to ask; the registry's own failure is the one that is reported. */
  constructor(endpoints: readonly Endpoint[], settings: Settings, caller: Caller) {
    const upstream = endpoints.find((endpoint) => endpoint.upstream) ?? endpoints.at(-1);
    if (upstream === undefined) throw new VarveError("INTERNAL", "no endpoint to ask");
    this.#upstream = upstream;
    this.#candidates = [...endpoints];
    this.#settings = settings;
    this.#caller = caller;
    this.#backOff = new BackOff(settings);
  }

  get endpoint(): Endpoint {
    return this.#candidates[this.#index] ?? this.#upstream;
  }

  /** For whoever carries out the tries: like the caller, only that what a request is held back is not counted as time without progress. */
  get caller(): Caller {
    const { signal, onEvent } = this.#caller;
    return {
      signal,
      onEvent: (event) => {
        if (event.type === "queued") this.#backOff.excuse(event.ms);
        onEvent?.(event);
      },
    };
  }

  /** Bytes came that were not here before. */
  progressed(bytes: number): void {
    this.#carried += bytes;
  }

  /** Returns when `endpoint` should be asked, again or for the first time; throws when it is time to give up. */
  async failed(error: unknown): Promise<void> {
    if (!(error instanceof VarveError) || error.code === "INTERRUPTED") throw error;
    const { signal } = this.#caller;
    const from = this.endpoint;
    if (signal?.aborted === true) throw interrupted(signal, from.host);
    this.#failures.set(from, error);
    const retryable = error instanceof RegistryFailure && error.retryable;
    const resume = this.#carried > 0 && retryable && this.#worthResuming(error);
    if (this.#carried > 0) this.#restart();
    if (!resume && this.#moveOn(from, retryable, error)) return;
    await this.#wait(error, from);
  }

  /**
   * A line that just carried bytes is worth resuming on, at the same endpoint; not one that breaks again and again after a
   * few, nor a host that wants to be asked less, as long as there is another.
   */
  #worthResuming(error: VarveError): boolean {
    this.#poorTries = this.#carried < LITTLE ? this.#poorTries + 1 : 0;
    if (this.#index + 1 >= this.#candidates.length) return true;
    return !isThrottle(error) && this.#poorTries < MOST_POOR_TRIES;
  }

  #restart(): void {
    this.#carried = 0;
    this.#retryAfterMs = undefined;
    this.#backOff.restart();
  }

  /** To the next endpoint of this round, if there is one. */
  #moveOn(from: Endpoint, retryable: boolean, error: VarveError): boolean {
    this.#poorTries = 0;
    if (retryable) this.#index++;
    else this.#candidates = this.#candidates.filter((candidate) => candidate !== from);
    const asked = error instanceof RegistryFailure ? error.retryAfterMs : undefined;
    if (asked !== undefined) this.#retryAfterMs = Math.max(this.#retryAfterMs ?? 0, asked);
    const to = this.#candidates[this.#index];
    if (to === undefined) {
      this.#index = 0;
      return false;
    }
    this.#caller.onEvent?.({ type: "failover", from: from.host, to: to.host, reason: error.code });
    return true;
  }

  async #wait(error: VarveError, from: Endpoint): Promise<void> {
    if (this.#candidates.length === 0) throw this.#verdict();
    const pace = error.code === "REGISTRY_QUOTA" ? "quota" : "failure";
    const next = this.#backOff.next(pace, this.#retryAfterMs);
    if (next === undefined) throw this.#verdict();
    this.#retryAfterMs = undefined;
    const reason = `${error.code}: ${error.message}`;
    this.#caller.onEvent?.({ type: "retry", host: from.host, ...next, reason });
    const { signal } = this.#caller;
    try {
      await this.#settings.clock.sleep(next.delayMs, signal);
    } catch (cause) {
      if (signal?.aborted === true) throw interrupted(signal, from.host);
      throw cause;
    }
  }

  /** The registry's own failure, with what the mirrors said; unless falling back to a plain read can still help. */
  #verdict(): VarveError {
    const all = [...this.#failures];
    const ranges = all.find(([, error]) => error.code === "RANGE_UNSUPPORTED");
    const [endpoint, error] = ranges ?? all.find(([candidate]) => candidate === this.#upstream) ?? all.at(-1) ?? [];
    if (error === undefined) return new VarveError("INTERNAL", "gave up without a failure");
    const others = all.filter(([candidate]) => candidate !== endpoint);
    const attempts = this.#backOff.waits + 1;
    const tries = attempts === 1 ? "" : ` (after ${attempts} attempts)`;
    if (tries === "" && others.length === 0) return error;
    const mirrors = others.map(([candidate, { code }]) => `; ${candidate.host}: ${code}`).join("");
    return new VarveError(error.code, error.message + tries + mirrors, {
      hint: error.hint,
      cause: error,
      detail: { ...error.detail, attempts },
    });
  }
}

/** Runs `work` against one endpoint after the other, and again, until it succeeds or there is no hope. */
export async function acrossEndpoints<T>(
  endpoints: readonly Endpoint[],
  settings: Settings,
  caller: Caller,
  work: (endpoint: Endpoint) => Promise<T>,
): Promise<T> {
  const attempts = new Attempts(endpoints, settings, caller);
  for (;;) {
    try {
      return await work(attempts.endpoint);
    } catch (error) {
      await attempts.failed(error);
    }
  }
}
