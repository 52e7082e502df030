/**
 * The queue of one store: jobs.db in its directory. Several processes may have it open; what one changes wakes it at once, and the others when
 * they look, once a second.
 */
import { VarveError } from "../../../errors/varve-error.ts";
import { HeldClaim } from "../held-claim.ts";
import { checkJobInput } from "../job-input.ts";
import type { Claim, Job, JobKind, JobKinds, JobQueue, ListOptions } from "../types.ts";
import { Waiters } from "../waiters.ts";
import { workerName } from "../worker-name.ts";
import { JobsTable, type ClaimKey } from "./jobs-table.ts";
import { openJobsDatabase } from "./open-database.ts";
import { Owner } from "./owner.ts";

const POLL_MS = 1_000;
const SWEEP_EVERY_MS = 3_600_000;
const DAY_MS = 86_400_000;

export interface SqliteJobsOptions {
  /** Where jobs.db is; made where it is missing. */
  readonly directory: string;
  /** Days for which ended jobs are kept. Default 7. */
  readonly keepDays?: () => number;
  /** Milliseconds since 1970. Default `Date.now`. */
  readonly now?: () => number;
  /** How jobs name who is at them. Default: this host and process. */
  readonly worker?: string;
  /** How often it looks for what other processes have changed. Default 1,000. */
  readonly pollMs?: number;
  /** Told with `QUEUE_CORRUPT` when a damaged list was set aside, and with what went wrong while looking for changes. */
  readonly onWarning?: (warning: unknown) => void;
}

export class SqliteJobs implements JobQueue {
  readonly #table: JobsTable;
  readonly #owner: Owner;
  readonly #options: SqliteJobsOptions;
  readonly #now: () => number;
  readonly #claims = new Map<string, { readonly key: ClaimKey; readonly claim: HeldClaim }>();
  readonly #waiters = new Waiters();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #poll: NodeJS.Timeout;
  #due: NodeJS.Timeout | undefined;
  #lastChange: number;
  #sweptAt = 0;
  #isClosed = false;

  /** @throws VarveError `STORE_NEWER`, `STORE_BUSY`, `NO_SPACE`, `PERMISSION`, `IO` */
  static async open(options: SqliteJobsOptions): Promise<SqliteJobs> {
    const db = await openJobsDatabase(options.directory, options.onWarning ?? (() => {}));
    try {
      return new SqliteJobs(new JobsTable(db, options.now ?? Date.now), new Owner(options.directory), options);
    } catch (error) {
      db[Symbol.dispose]();
      throw error;
    }
  }

  private constructor(table: JobsTable, owner: Owner, options: SqliteJobsOptions) {
    this.#table = table;
    this.#owner = owner;
    this.#options = options;
    this.#now = options.now ?? Date.now;
    // Also those that left nothing but a file.
    for (const other of owner.others()) owner.ifDead(other, () => table.putBack(other));
    this.#buryOwners();
    this.#lastChange = table.lastChange();
    this.#sweep();
    this.#waitForDue();
    this.#poll = setInterval(() => this.#lookAround(), options.pollMs ?? POLL_MS);
    // Who has nothing else to do but wait for jobs has a signal, a socket or a server to live for.
    this.#poll.unref();
  }

  add<Kind extends JobKind>(kind: Kind, input: JobKinds[Kind]["input"]): Promise<Job<Kind>> {
    return this.#soon(() => this.#table.add(kind, JSON.stringify(checkJobInput(kind, input))) as Job<Kind>);
  }

  get(id: string): Promise<Job | undefined> {
    return this.#soon(() => this.#table.get(id));
  }

  list(options: ListOptions = {}): Promise<readonly Job[]> {
    return this.#soon(() => this.#table.list(options));
  }

  cancel(id: string): Promise<Job | undefined> {
    return this.#soon(() => this.#table.cancel(id));
  }

  depth(): Promise<{ readonly queued: number; readonly running: number }> {
    return this.#soon(() => this.#table.depth());
  }

  async claim(kinds: readonly JobKind[], signal: AbortSignal): Promise<Claim> {
    for (;;) {
      signal.throwIfAborted();
      this.#refuseClosed();
      const { worker = workerName() } = this.#options;
      const taken = this.#table.take(kinds, this.#owner.id, worker);
      if (taken !== undefined) {
        const claim = this.#hold(taken.job, taken.key);
        this.#tell();
        return claim;
      }
      using change = this.#waiters.listen(signal);
      await change.happens;
    }
  }

  onChange(listener: (id: string) => void): () => void {
    // Of its own, so that one listener may be given twice.
    const own = (id: string): void => listener(id);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** What is claimed by this process and has not ended is put back. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    try {
      this.#table.putBack(this.#owner.id);
    } finally {
      this.#close();
    }
  }

  #close(): void {
    this.#isClosed = true;
    clearInterval(this.#poll);
    clearTimeout(this.#due);
    for (const { claim } of this.#claims.values()) claim.lose();
    this.#waiters.wake();
    this.#listeners.clear();
    this.#table[Symbol.dispose]();
    this.#owner[Symbol.dispose]();
  }

  /** The work, and then word of what it has changed. */
  async #soon<T>(work: () => T): Promise<T> {
    this.#refuseClosed();
    const result = work();
    this.#tell();
    return result;
  }

  #refuseClosed(): void {
    if (this.#isClosed)
      throw new VarveError("QUEUE_UNAVAILABLE", "the queue is closed", { hint: "the daemon is stopping" });
  }

  #hold(job: Job, key: ClaimKey): HeldClaim {
    const forget = (): void => {
      if (this.#claims.get(key.id)?.claim === claim) this.#claims.delete(key.id);
    };
    // Forgotten before word of the change goes round: it has ended, and is not lost.
    const end = (write: () => boolean): Promise<boolean> =>
      this.#soon(() => {
        const isMine = write();
        if (isMine) forget();
        return isMine;
      });
    const ends = {
      done: (result: string) => end(() => this.#table.done(key, result)),
      fail: (error: string, retry: boolean) => end(() => this.#table.fail(key, error, retry)),
      release: () => end(() => this.#table.release(key)),
    };
    const claim = new HeldClaim(job, ends, forget);
    this.#claims.set(key.id, { key, claim });
    return claim;
  }

  /** Who waits looks again, listeners hear, and claims that are not this process' any more are lost. */
  #tell(): void {
    if (this.#isClosed) return;
    const last = this.#table.lastChange();
    if (last === this.#lastChange) return;
    const changed = this.#table.changedSince(this.#lastChange);
    this.#lastChange = last;
    for (const id of changed) {
      const held = this.#claims.get(id);
      if (held !== undefined && !this.#table.isHeld(held.key)) held.claim.lose();
    }
    this.#waitForDue();
    this.#waiters.wake();
    for (const id of changed) for (const listener of this.#listeners) listener(id);
  }

  #waitForDue(): void {
    clearTimeout(this.#due);
    const due = this.#table.nextDue();
    if (due === undefined) return;
    this.#due = setTimeout(() => this.#waiters.wake(), Math.max(1, due - this.#now()));
    this.#due.unref();
  }

  #lookAround(): void {
    try {
      this.#buryOwners();
      if (this.#now() - this.#sweptAt > SWEEP_EVERY_MS) this.#sweep();
      this.#tell();
    } catch (error) {
      this.#options.onWarning?.(error);
    }
  }

  #buryOwners(): void {
    for (const other of this.#table.ownersBeside(this.#owner.id)) {
      this.#owner.ifDead(other, () => this.#table.putBack(other));
    }
  }

  #sweep(): void {
    this.#sweptAt = this.#now();
    this.#table.sweep(this.#now() - (this.#options.keepDays?.() ?? 7) * DAY_MS);
  }
}
