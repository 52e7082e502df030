/**
 * A queue that many machines share, in PostgreSQL by pg-boss. A worker says every few seconds that it is alive; one that was not heard of loses its
 * claim, and the job is tried by another one. A claim is told from later ones by pg-boss' count of retries, so a worker that comes back
 * late changes nothing.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { toVarveError } from "../../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../../errors/varve-error.ts";
import type { ProgressEvent } from "../../../recipe/progress.ts";
import { HeldClaim } from "../held-claim.ts";
import { checkJobInput, JOB_KINDS } from "../job-input.ts";
import { keptError } from "../kept-json.ts";
import { MAX_ATTEMPTS, MAX_QUEUED, retryDelayMs } from "../retries.ts";
import type { Claim, Job, JobKind, JobKinds, JobQueue, ListOptions } from "../types.ts";
import { workerName } from "../worker-name.ts";
import { CHANNEL, QueueConnection, sendOptions, TOUCH_MS, type Attempt, type Row } from "./connection.ts";
import { changedNotice, isJobId, ProgressNotices, readNotice, type Progress } from "./notices.ts";
import { bossStates, jobOf, readJob } from "./rows.ts";
import { DEPTH, FAIL, GET, LIST, NOTIFY, OLDEST, RELEASE, RETRY, SIGN } from "./statements.ts";

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
/** Waits between tries to say how a job has ended, about a minute in all. */
const TELL_AGAIN_MS = [250, 1_000, 2_000, 5_000, 10_000, 15_000, 25_000];

interface Held {
  readonly kind: JobKind;
  readonly attempt: Attempt;
  readonly claim: HeldClaim;
  /** How it has ended is being told: what it then is found to have lost is that. */
  isEnding: boolean;
}

export class PostgresJobs implements JobQueue {
  readonly #connection: QueueConnection;
  readonly #options: PostgresJobsOptions;
  readonly #worker: string;
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Set<() => void>();
  readonly #listeners = new Set<(id: string) => void>();
  readonly #told = new ProgressNotices((payload) => void this.#notify(payload).catch(() => undefined));
  readonly #touching: NodeJS.Timeout;

  /** Connects in the background. @throws VarveError `CONFIGURATION_INVALID` for a URL that is none */
  constructor(options: PostgresJobsOptions) {
    this.#options = options;
    this.#worker = options.worker ?? workerName();
    this.#connection = new QueueConnection({
      url: options.url,
      kinds: JOB_KINDS,
      onNotice: (payload) => this.#hear(payload),
      onListening: () => this.#wake(),
      onWarning: options.onWarning ?? (() => {}),
    });
    this.#touching = setInterval(() => void this.#touchAll(), TOUCH_MS).unref();
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
    const rows = await this.#query(LIST, [kinds, bossStates(state), most]);
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
      using change = this.#listen(signal);
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
    clearInterval(this.#touching);
    this.#told[Symbol.dispose]();
    const held = [...this.#held.values()];
    await Promise.all(
      held.map(async ({ kind, attempt, claim }) => {
        claim.lose();
        await this.#query(RELEASE, keyOf(kind, attempt)).catch(() => undefined);
      }),
    );
    this.#listeners.clear();
    await this.#connection.close();
    this.#wake();
  }

  async #take(kinds: readonly JobKind[]): Promise<HeldClaim | undefined> {
    const kind = kinds.length === 1 ? kinds[0] : await this.#kindOfOldest(kinds);
    if (kind === undefined) return undefined;
    const [taken] = await this.#connection.use(({ boss }) => boss.fetch(kind, { batchSize: 1 }));
    if (taken === undefined) return undefined;
    const attempt = { id: taken.id, retryCount: taken.retryCount };
    await this.#query(SIGN, [...keyOf(kind, attempt), JSON.stringify({ worker: this.#worker })]);
    const job = await this.#readTaken(kind, attempt);
    if (job === undefined) return this.#take(kinds);
    const claim = this.#hold(job, kind, attempt);
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
      const output = this.#output("error", keptError({ code, message, hint }));
      await this.#query(FAIL, [...keyOf(kind, attempt), output]);
      return undefined;
    }
  }

  async #kindOfOldest(kinds: readonly JobKind[]): Promise<JobKind | undefined> {
    const [row] = await this.#query(OLDEST, [kinds]);
    return kinds.find((kind) => kind === row?.["name"]);
  }

  #hold(job: Job, kind: JobKind, attempt: Attempt): HeldClaim {
    const key = keyOf(kind, attempt);
    const forget = (): void => {
      if (this.#held.get(job.id)?.claim === claim) this.#held.delete(job.id);
    };
    const end = async (write: () => Promise<boolean>): Promise<boolean> => {
      held.isEnding = true;
      const isMine = await this.#surely(job.id, attempt, write);
      if (isMine) forget();
      await this.#changed(job.id);
      return isMine;
    };
    const claim = new HeldClaim(
      job,
      {
        done: (result) =>
          end(async () => {
            const output = JSON.parse(this.#output("result", result)) as object;
            const said = await this.#connection.use(({ boss }) => boss.complete(kind, attempt, output));
            return countOf(said) > 0;
          }),
        fail: (error, retry) =>
          end(async () => {
            const output = this.#output("error", error);
            const isTriedAgain = retry && job.attempts < MAX_ATTEMPTS;
            const rows = isTriedAgain
              ? await this.#query(RETRY, [...key, output, retryDelayMs(job.attempts)])
              : await this.#query(FAIL, [...key, output]);
            return rows.length > 0;
          }),
        release: () => end(async () => (await this.#query(RELEASE, key)).length > 0),
      },
      forget,
    );
    const held: Held = { kind, attempt, claim, isEnding: false };
    this.#held.set(job.id, held);
    return claim;
  }

  #output(name: "result" | "error", json: string): string {
    return `{"worker":${JSON.stringify(this.#worker)},"${name}":${json}}`;
  }

  /**
   * Tells it again while the server is away. A try that broke off may have been heard all the same, so when a later one finds the claim gone
   * it looks at who has ended it.
   */
  async #surely(id: string, attempt: Attempt, write: () => Promise<boolean>): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      try {
        if (await write()) return true;
        return tries > 0 && (await this.#hasEndedAs(id, attempt));
      } catch (error) {
        const delay = TELL_AGAIN_MS[tries];
        if (!isVarveError(error, "QUEUE_UNAVAILABLE") || delay === undefined) throw error;
        this.#connection.warn(error);
        await sleep(delay);
      }
    }
  }

  async #hasEndedAs(id: string, { retryCount }: Attempt): Promise<boolean> {
    const row = await this.#row(id);
    const job = row && jobOf(row);
    const isSame = Number(row?.["retry_count"]) === retryCount && job?.worker === this.#worker;
    return isSame && (job?.state === "done" || job?.state === "failed" || job?.state === "queued");
  }

  async #touchAll(): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => this.#touch(held)));
  }

  /** Says that it is worked on, and learns whether it still is this worker's. */
  async #touch(held: Held): Promise<void> {
    const { kind, attempt, claim } = held;
    try {
      const said = await this.#connection.use(({ boss }) => boss.touch(kind, attempt));
      if (countOf(said) === 0 && !held.isEnding) claim.lose();
    } catch (error) {
      this.#connection.warn(error);
    }
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
    const held = this.#held.get(id);
    if (held !== undefined) void this.#touch(held);
    this.#wake();
    for (const listener of this.#listeners) listener(id);
  }

  async #notify(payload: string): Promise<void> {
    await this.#query(NOTIFY, [CHANNEL, payload]);
  }

  #wake(): void {
    for (const wake of this.#waiting) wake();
  }

  /** Settles when something has changed, or might have. */
  #listen(signal: AbortSignal): Disposable & { readonly happens: Promise<void> } {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    // Nobody may be waiting yet when it comes to this.
    promise.catch(() => undefined);
    const timer = setTimeout(resolve, POLL_MS);
    const onAbort = (): void => reject(signal.reason as Error);
    signal.addEventListener("abort", onAbort, { once: true });
    this.#waiting.add(resolve);
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", onAbort);
      this.#waiting.delete(resolve);
    };
    return { happens: promise, [Symbol.dispose]: end };
  }

  async #row(id: string): Promise<Row | undefined> {
    if (!isJobId(id)) return undefined;
    const [row] = await this.#query(GET, [JOB_KINDS, id]);
    return row;
  }

  #query(text: string, values: readonly unknown[]): Promise<readonly Row[]> {
    return this.#connection.use(({ query }) => query(text, values));
  }
}

function keyOf(kind: JobKind, { id, retryCount }: Attempt): readonly unknown[] {
  return [kind, id, retryCount];
}

/** How many jobs a call of pg-boss has changed. */
function countOf(said: object): number {
  const { affected } = said as { affected?: unknown };
  return typeof affected === "number" ? affected : 0;
}
