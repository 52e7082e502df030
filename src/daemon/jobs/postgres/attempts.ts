/**
 * The jobs of a shared queue that this process has claimed: it says every few seconds that it is at them, learns so whether they still are its own,
 * and tells how they ended, again and again while the server is away.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isVarveError } from "../../../errors/varve-error.ts";
import { HeldClaim } from "../held-claim.ts";
import { MAX_ATTEMPTS, retryDelayMs } from "../retries.ts";
import type { Job, JobKind } from "../types.ts";
import { TOUCH_MS, type Attempt, type QueueConnection } from "./connection.ts";
import { jobOf } from "./rows.ts";
import { FAIL, GET, RELEASE, RETRY } from "./statements.ts";

/** Waits between tries to say how a job has ended, about a minute in all. */
const TELL_AGAIN_MS = [250, 1_000, 2_000, 5_000, 10_000, 15_000, 25_000];

interface Held {
  readonly kind: JobKind;
  readonly attempt: Attempt;
  readonly claim: HeldClaim;
  /** How it has ended is being told: what it then is found to have lost is that. */
  isEnding: boolean;
}

export interface AttemptsOptions {
  readonly connection: QueueConnection;
  readonly worker: string;
  /** Tells all who are connected that the job has changed. */
  readonly changed: (id: string) => Promise<void>;
}

export class Attempts {
  readonly #options: AttemptsOptions;
  readonly #held = new Map<string, Held>();
  readonly #touching: NodeJS.Timeout;

  constructor(options: AttemptsOptions) {
    this.#options = options;
    this.#touching = setInterval(() => void this.#touchAll(), TOUCH_MS).unref();
  }

  hold(job: Job, kind: JobKind, attempt: Attempt): HeldClaim {
    const { connection, changed } = this.#options;
    const key = keyOf(kind, attempt);
    const forget = (): void => {
      if (this.#held.get(job.id)?.claim === claim) this.#held.delete(job.id);
    };
    const write = async (statement: string, ...values: unknown[]): Promise<boolean> =>
      (await connection.query(statement, [...key, ...values])).length > 0;
    const end = async (tell: () => Promise<boolean>): Promise<boolean> => {
      held.isEnding = true;
      const isMine = await this.#surely(job, attempt, tell);
      if (isMine) forget();
      await changed(job.id);
      return isMine;
    };
    const complete = async (result: string): Promise<boolean> => {
      const output = JSON.parse(this.output("result", result)) as object;
      return countOf(await connection.use(({ boss }) => boss.complete(kind, attempt, output))) > 0;
    };
    const fail = (error: string, retry: boolean): Promise<boolean> => {
      const output = this.output("error", error);
      const isTriedAgain = retry && job.attempts < MAX_ATTEMPTS;
      return isTriedAgain ? write(RETRY, output, retryDelayMs(job.attempts)) : write(FAIL, output);
    };
    const ends = {
      done: (result: string) => end(() => complete(result)),
      fail: (error: string, retry: boolean) => end(() => fail(error, retry)),
      release: () => end(() => write(RELEASE)),
    };
    const claim = new HeldClaim(job, ends, forget);
    const held: Held = { kind, attempt, claim, isEnding: false };
    this.#held.set(job.id, held);
    return claim;
  }

  /** What is kept beside a job: who is or was at it, and what came of it. @param json of the result or the error */
  output(name: "result" | "error", json: string): string {
    return `{"worker":${JSON.stringify(this.#options.worker)},"${name}":${json}}`;
  }

  /** Something is said of the job: perhaps it is not this process' any more. */
  look(id: string): void {
    const held = this.#held.get(id);
    if (held !== undefined) void this.#touch(held);
  }

  /** Loses all, and puts them back where the server can be told. */
  async close(): Promise<void> {
    clearInterval(this.#touching);
    const held = [...this.#held.values()];
    await Promise.all(
      held.map(async ({ kind, attempt, claim }) => {
        claim.lose();
        await this.#options.connection.query(RELEASE, keyOf(kind, attempt)).catch(() => undefined);
      }),
    );
  }

  /**
   * A try that broke off may have been heard all the same, so when a later one finds the claim gone it looks at who has ended it.
   */
  async #surely({ id }: Job, attempt: Attempt, tell: () => Promise<boolean>): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      try {
        if (await tell()) return true;
        return tries > 0 && (await this.#hasEndedAs(id, attempt));
      } catch (error) {
        const delay = TELL_AGAIN_MS[tries];
        if (!isVarveError(error, "QUEUE_UNAVAILABLE") || delay === undefined) throw error;
        this.#options.connection.warn(error);
        await sleep(delay);
      }
    }
  }

  async #hasEndedAs(id: string, { retryCount }: Attempt): Promise<boolean> {
    const kind = this.#held.get(id)?.kind;
    const [row] = await this.#options.connection.query(GET, [[kind], id]);
    const job = row && jobOf(row);
    const isSame = Number(row?.["retry_count"]) === retryCount && job?.worker === this.#options.worker;
    return isSame && (job?.state === "done" || job?.state === "failed" || job?.state === "queued");
  }

  async #touchAll(): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => this.#touch(held)));
  }

  async #touch(held: Held): Promise<void> {
    const { connection } = this.#options;
    const { kind, attempt, claim } = held;
    try {
      const said = await connection.use(({ boss }) => boss.touch(kind, attempt));
      if (countOf(said) === 0 && !held.isEnding) claim.lose();
    } catch (error) {
      connection.warn(error);
    }
  }
}

/** The first values of statements on one attempt. */
export function keyOf(kind: JobKind, { id, retryCount }: Attempt): readonly unknown[] {
  return [kind, id, retryCount];
}

/** How many jobs a call of pg-boss has changed. */
function countOf(said: object): number {
  const { affected } = said as { affected?: unknown };
  return typeof affected === "number" ? affected : 0;
}
