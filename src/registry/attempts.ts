/**
 * Who is asked next and when: failover along the chain of mirrors (formats/oci-distribution §10), then back-off with
 * full jitter and another round (§9). Progress starts the count anew, so a long blob over a bad line ends in the end.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { TransportEvent } from "./blob-source.ts";
import type { Endpoint } from "./endpoint.ts";
import type { Settings } from "./options.ts";
import { interrupted, RegistryFailure } from "./transport/failure.ts";

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
/** A registry that asks for more is asked again after this; its limits are often given for the whole day. */
const LONGEST_RETRY_AFTER_MS = 120_000;

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
  #attempt = 0;
  #since: number;
  #progressed = false;
  /** Longest `Retry-After` of the round. */
  #wait = 0;

  /** @param endpoints In the order in which to ask; the registry's own failure is the one that is reported. */
  constructor(endpoints: readonly Endpoint[], settings: Settings, caller: Caller) {
    const upstream = endpoints.find((endpoint) => endpoint.upstream) ?? endpoints.at(-1);
    if (upstream === undefined) throw new VarveError("INTERNAL", "no endpoint to ask");
    this.#upstream = upstream;
    this.#candidates = [...endpoints];
    this.#settings = settings;
    this.#caller = caller;
    this.#since = settings.clock.now();
  }

  get endpoint(): Endpoint {
    return this.#candidates[this.#index] ?? this.#upstream;
  }

  /** Bytes came that were not here before. */
  progressed(): void {
    this.#progressed = true;
  }

  /** Returns when `endpoint` should be asked, again or for the first time; throws when it is time to give up. */
  async failed(error: unknown): Promise<void> {
    if (!(error instanceof VarveError) || error.code === "INTERRUPTED") throw error;
    const { signal } = this.#caller;
    const from = this.endpoint;
    if (signal?.aborted === true) throw interrupted(signal, from.host);
    this.#failures.set(from, error);
    const retryable = error instanceof RegistryFailure && error.retryable;
    const resumable = this.#progressed && retryable;
    if (this.#progressed) this.#restart();
    if (!resumable && this.#moveOn(from, retryable, error)) return;
    await this.#backOff(error, from);
  }

  /** A line that just carried bytes is worth resuming on, at the same endpoint. */
  #restart(): void {
    this.#progressed = false;
    this.#attempt = 0;
    this.#wait = 0;
    this.#since = this.#settings.clock.now();
  }

  /** To the next endpoint of this round, if there is one. */
  #moveOn(from: Endpoint, retryable: boolean, error: VarveError): boolean {
    if (retryable) this.#index++;
    else this.#candidates = this.#candidates.filter((candidate) => candidate !== from);
    if (error instanceof RegistryFailure) this.#wait = Math.max(this.#wait, error.retryAfterMs ?? 0);
    const to = this.#candidates[this.#index];
    if (to === undefined) {
      this.#index = 0;
      return false;
    }
    this.#caller.onEvent?.({ type: "failover", from: from.host, to: to.host, reason: error.code });
    return true;
  }

  async #backOff(error: VarveError, from: Endpoint): Promise<void> {
    const { retries, retryMaxTimeMs, clock } = this.#settings;
    if (this.#candidates.length === 0 || this.#attempt >= retries) throw this.#verdict();
    const jitter = clock.random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** this.#attempt);
    const delayMs = Math.round(Math.max(jitter, Math.min(this.#wait, LONGEST_RETRY_AFTER_MS)));
    if (clock.now() + delayMs - this.#since > retryMaxTimeMs) throw this.#verdict();
    this.#attempt++;
    this.#wait = 0;
    const reason = `${error.code}: ${error.message}`;
    this.#caller.onEvent?.({ type: "retry", host: from.host, attempt: this.#attempt, delayMs, reason });
    try {
      await clock.sleep(delayMs, this.#caller.signal);
    } catch (cause) {
      if (this.#caller.signal?.aborted === true) throw interrupted(this.#caller.signal, from.host);
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
    const tries = this.#attempt === 0 ? "" : ` (after ${this.#attempt + 1} attempts)`;
    if (tries === "" && others.length === 0) return error;
    const mirrors = others.map(([candidate, { code }]) => `; ${candidate.host}: ${code}`).join("");
    return new VarveError(error.code, error.message + tries + mirrors, {
      hint: error.hint,
      cause: error,
      detail: { ...error.detail, attempts: this.#attempt + 1 },
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
