/**
 * A queue that many machines share, in PostgreSQL by pg-boss. A worker says every few seconds that it is alive; one that was not heard of loses its
 * claim, and the job is tried by another one. Each claim has a name of its own, so a worker that comes back late, or says twice
 * what it does not know to have been heard, changes nothing.
 */
import { randomUUID } from "node:crypto";
import { toVarveError } from "../../../errors/from-system.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import type { ProgressEvent } from "../../../recipe/progress.ts";
import type { HeldClaim } from "../held-claim.ts";
import { checkJobInput, JOB_KINDS } from "../job-input.ts";
import { keptError } from "../kept-json.ts";
import { MAX_QUEUED } from "../retries.ts";
import type { Claim, Job, JobKind, JobKinds, JobQueue, ListOptions } from "../types.ts";
import { Waiters } from "../waiters.ts";
import { workerName } from "../worker-name.ts";
import { Attempts, keyOf, type Attempt } from "./attempts.ts";
import { CHANNEL, QueueConnection, sendOptions, type Row } from "./connection.ts";
import { changedNotice, isJobId, ProgressNotices, readNotice, type Progress } from "./notices.ts";
import { bossStates, jobOf, readJob } from "./rows.ts";
import { DEPTH, FAIL, GET, LIST, NOTIFY, OLDEST, SIGN } from "./statements.ts";

export interface PostgresJobsOptions {
  /** `postgres://...`, with `sslmode` and what else the driver takes. */
  readonly url: string;
  /** Days for which ended jobs are kept. Default 7. */
  readonly keepDays?: () => number;
  /** How jobs name who is at them. Default: this host and process. */
  readonly worker?: string;
  /** Told with `QUEUE_UNAVAILABLE` when the server has gone away. */
  readonly onWarning?: (warning: unknown) => void;
  /** Told what other processes tell of jobs that they work on. */
  readonly onProgress?: Progress;
}

/** How often who waits for a job looks, should it hear nothing. */
const POLL_MS = 2_000;
const MAX_LIST = 1000;
const MAX_LIST_BYTES = 32 << 20;

export class PostgresJobs implements JobQueue {
  readonly #connection: QueueConnection;
  readonly #options: PostgresJobsOptions;
  readonly #worker: string;
  readonly #attempts: Attempts;
  readonly #waiters = new Waiters();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #told = new ProgressNotices((payload) => void this.#notify(payload).catch(() => undefined));

  /** Connects in the background. @throws VarveError `CONFIGURATION_INVALID` for a URL that is none */
  constructor(options: PostgresJobsOptions) {
    this.#options = options;
    this.#worker = options.worker ?? workerName();
    this.#connection = new QueueConnection({
      url: options.url,
      kinds: JOB_KINDS,
      onNotice: (payload) => this.#hear(payload),
      onListening: () => this.#waiters.wake(),
      onWarning: options.onWarning ?? (() => {}),
    });
    this.#attempts = new Attempts({
      connection: this.#connection,
      worker: this.#worker,
      changed: (id) => this.#changed(id),
    });
  }

  /** For those who want to know before they rely on it. @throws VarveError `QUEUE_UNAVAILABLE` */
  async connect(): Promise<void> {
    await this.#connection.open();
  }

  async add<Kind extends JobKind>(kind: Kind, given: JobKinds[Kind]["input"]): Promise<Job<Kind>> {
    const input = checkJobInput(kind, given);
    const { queued } = await this.depth();
    if (queued >= MAX_QUEUED) throw new VarveError("QUEUE_FULL", `${MAX_QUEUED} jobs wait already`);
    const keepDays = this.#options.keepDays?.() ?? 7;
    const id = await this.#connection.use(({ boss }) => boss.send(kind, input, sendOptions(keepDays)));
    const job = id === null ? undefined : await this.get(id);
    if (job === undefined) throw new VarveError("QUEUE_UNAVAILABLE", "the queue did not keep a job that was added");
    await this.#changed(job.id);
    return job as Job<Kind>;
  }

  async get(id: string): Promise<Job | undefined> {
    const row = await this.#row(id);
    return row && jobOf(row);
  }

  async list({ kind, state, limit = 100 }: ListOptions = {}): Promise<readonly Job[]> {
    const kinds = kind === undefined ? JOB_KINDS : [kind];
    const most = Math.min(Math.max(0, Math.trunc(limit)), MAX_LIST);
    const rows = await this.#query(LIST, [kinds, bossStates(state), most, MAX_LIST_BYTES]);
    return rows.flatMap((row) => jobOf(row) ?? []);
  }

  async cancel(id: string): Promise<Job | undefined> {
    const job = await this.get(id);
    if (job === undefined) return undefined;
    await this.#connection.use(({ boss }) => boss.cancel(job.kind, id));
    await this.#changed(id);
    return this.get(id);
  }

  async depth(): Promise<{ readonly queued: number; readonly running: number }> {
    const [row] = await this.#query(DEPTH, [JOB_KINDS]);
    return { queued: Number(row?.["queued"] ?? 0), running: Number(row?.["running"] ?? 0) };
  }

  async claim(kinds: readonly JobKind[], signal: AbortSignal): Promise<Claim> {
    for (;;) {
      signal.throwIfAborted();
      // From before it looks, so that nothing is missed that comes meanwhile.
      using change = this.#waiters.listen(signal, POLL_MS);
      const claim = await this.#take(kinds);
      if (claim === undefined) await change.happens;
      else if (!signal.aborted) return claim;
      else await claim.release().catch(() => undefined);
    }
  }

  onChange(listener: (id: string) => void): () => void {
    const own = (id: string): void => listener(id);
    this.#listeners.add(own);
    return () => void this.#listeners.delete(own);
  }

  /** For a worker: how far a job has come that it has claimed, for whoever shows it. */
  tellProgress(id: string, event: ProgressEvent): void {
    this.#told.add(id, event);
  }

  /** What is claimed and has not ended is put back, where the server can be told. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#told[Symbol.dispose]();
    await this.#attempts.close();
    this.#listeners.clear();
    await this.#connection.close();
    this.#waiters.wake();
  }

  async #take(kinds: readonly JobKind[]): Promise<HeldClaim | undefined> {
    const kind = kinds.length === 1 ? kinds[0] : await this.#kindOfOldest(kinds);
    if (kind === undefined) return undefined;
    const [taken] = await this.#connection.use(({ boss }) => boss.fetch(kind, { batchSize: 1 }));
    if (taken === undefined) return undefined;
    const attempt = { id: taken.id, claim: randomUUID() };
    const signed = await this.#query(SIGN, [kind, taken.id, taken.retryCount, this.#attempts.output(attempt)]);
    if (signed.length === 0) return this.#take(kinds);
    const job = await this.#readTaken(kind, attempt);
    if (job === undefined) return this.#take(kinds);
    const claim = this.#attempts.hold(job, kind, attempt);
    await this.#changed(job.id);
    return claim;
  }

  /** Undefined for what somebody has written past us and nobody can work off: that has failed. */
  async #readTaken(kind: JobKind, attempt: Attempt): Promise<Job | undefined> {
    const row = await this.#row(attempt.id);
    try {
      return row && readJob(row);
    } catch (error) {
      const { code, message, hint } = toVarveError(error);
      const output = this.#attempts.output(attempt, "error", keptError({ code, message, hint }));
      await this.#query(FAIL, [...keyOf(kind, attempt), output]);
      return undefined;
    }
  }

  async #kindOfOldest(kinds: readonly JobKind[]): Promise<JobKind | undefined> {
    const [row] = await this.#query(OLDEST, [kinds]);
    return kinds.find((kind) => kind === row?.["name"]);
  }

  #hear(payload: string): void {
    const notice = readNotice(payload);
    if (notice?.type === "changed") this.#tell(notice.id);
    else if (notice !== undefined) for (const event of notice.events) this.#options.onProgress?.(notice.id, event);
  }

  /** Tells all who are connected. Nobody relies on hearing it, so a failure is none of the work's. */
  async #changed(id: string): Promise<void> {
    this.#tell(id);
    await this.#notify(changedNotice(id)).catch(() => undefined);
  }

  #tell(id: string): void {
    this.#attempts.look(id);
    this.#waiters.wake();
    for (const listener of this.#listeners) listener(id);
  }

  async #notify(payload: string): Promise<void> {
    await this.#query(NOTIFY, [CHANNEL, payload]);
  }

  async #row(id: string): Promise<Row | undefined> {
    if (!isJobId(id)) return undefined;
    const [row] = await this.#query(GET, [JOB_KINDS, id]);
    return row;
  }

  #query(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#connection.query(text, values);
  }
}
