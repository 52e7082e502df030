/** A claim as every queue gives it: ended once, and of no effect from the moment on at which it is lost. */
import { VarveError } from "../../errors/varve-error.ts";
import { keptError, keptResult } from "./kept-json.ts";
import type { Claim, Job } from "./types.ts";

/** Writes how a claim ended, where it still is this worker's. @returns whether it was */
export interface ClaimEnds {
  done(result: string): Promise<boolean>;
  fail(error: string, retry: boolean): Promise<boolean>;
  release(): Promise<boolean>;
}

export class HeldClaim implements Claim {
  readonly job: Job;
  readonly #ends: ClaimEnds;
  readonly #onEnd: () => void;
  readonly #losing = new AbortController();
  #hasEnded = false;

  /** @param onEnd called once, when it has ended or is lost */
  constructor(job: Job, ends: ClaimEnds, onEnd: () => void) {
    this.job = job;
    this.#ends = ends;
    this.#onEnd = onEnd;
  }

  get signal(): AbortSignal {
    return this.#losing.signal;
  }

  /** @throws VarveError `JOB_LOST`, `QUEUE_UNAVAILABLE`, as do all that end it */
  done(result: unknown): Promise<void> {
    return this.#end(() => this.#ends.done(keptResult(result)));
  }

  fail(error: NonNullable<Job["error"]>, { retry = false }: { readonly retry?: boolean } = {}): Promise<void> {
    return this.#end(() => this.#ends.fail(keptError(error), retry));
  }

  release(): Promise<void> {
    return this.#end(() => this.#ends.release());
  }

  /** It is somebody else's now, or nobody's. */
  lose(): void {
    if (this.signal.aborted) return;
    this.#losing.abort(lost(this.job));
    this.#close();
  }

  async #end(write: () => Promise<boolean>): Promise<void> {
    if (this.#hasEnded || this.signal.aborted) throw lost(this.job);
    const isMine = await write();
    if (!isMine) this.lose();
    this.signal.throwIfAborted();
    this.#close();
  }

  #close(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#onEnd();
  }
}

function lost({ id }: Job): VarveError {
  return new VarveError("JOB_LOST", `job ${id} is not this worker's any more`);
}
