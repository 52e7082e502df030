/**
 * The jobs of a shared queue that this process has claimed: it says every few seconds that it is at them, learns so whether they still are its own,
 * and tells how they ended, again and again while the server is away.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { isVarveError } from "../../../errors/varve-error.ts";
import { HeldClaim } from "../held-claim.ts";
import { MAX_ATTEMPTS, retryDelayMs } from "../retries.ts";
import type { Job, JobKind } from "../types.ts";
import type { QueueConnection } from "./connection.ts";
import { DONE, FAIL, GET, RELEASE, RETRY, TOUCH } from "./statements.ts";

/** How often it says that it is alive. */
const TOUCH_MS = 4_000;
/** Waits between tries to say how a job has ended, about a minute in all. */
const TELL_AGAIN_MS = [250, 1_000, 2_000, 5_000, 10_000, 15_000, 25_000];

/** One claim of a job. */
export interface Attempt {
  readonly id: string;
  /** Its name, told to nobody else. */
  readonly claim: string;
}

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
    const end = async (tell: () => Promise<boolean>, releases = false): Promise<boolean> => {
      held.isEnding = true;
      // Who lets go of a job does not have to know whether it was heard the first time.
      const isMine = await this.#surely(tell, async () => releases || (await this.#hasEndedAs(kind, attempt)));
      if (isMine) forget();
      await changed(job.id);
      return isMine;
    };
    const fail = (error: string, retry: boolean): Promise<boolean> => {
      const output = this.output(attempt, "error", error);
      const isTriedAgain = retry && job.attempts < MAX_ATTEMPTS;
      return isTriedAgain ? write(RETRY, output, retryDelayMs(job.attempts)) : write(FAIL, output);
    };
    const ends = {
      done: (result: string) => end(() => write(DONE, this.output(attempt, "result", result))),
      fail: (error: string, retry: boolean) => end(() => fail(error, retry)),
      release: () => end(() => write(RELEASE), true),
    };
    const claim = new HeldClaim(job, ends, forget);
    const held: Held = { kind, attempt, claim, isEnding: false };
    this.#held.set(job.id, held);
    return claim;
  }

  /** What is kept beside a job: who is or was at it, and what came of it. @param json of the result or the error */
  output({ claim }: Attempt, name?: "result" | "error", json = "null"): string {
    const signed = `"worker":${JSON.stringify(this.#options.worker)},"claim":${JSON.stringify(claim)}`;
    return name === undefined ? `{${signed}}` : `{${signed},"${name}":${json}}`;
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

  /** A try that broke off may have been heard all the same, so when a later one finds the claim gone it looks whether that was it. */
  async #surely(tell: () => Promise<boolean>, wasHeard: () => Promise<boolean>): Promise<boolean> {
    for (let tries = 0; ; tries++) {
      try {
        return (await tell()) || (tries > 0 && (await wasHeard()));
      } catch (error) {
        const delay = TELL_AGAIN_MS[tries];
        if (!isVarveError(error, "QUEUE_UNAVAILABLE") || delay === undefined) throw error;
        this.#options.connection.warn(error);
        await sleep(delay);
      }
    }
  }

  async #hasEndedAs(kind: JobKind, { id, claim }: Attempt): Promise<boolean> {
    const [row] = await this.#options.connection.query(GET, [[kind], id]);
    const output = row?.["output"];
    const isSame = typeof output === "object" && output !== null && "claim" in output && output.claim === claim;
    return isSame && row?.["state"] !== "cancelled";
  }

  async #touchAll(): Promise<void> {
    await Promise.all([...this.#held.values()].map((held) => this.#touch(held)));
  }

  async #touch(held: Held): Promise<void> {
    const { connection } = this.#options;
    const { kind, attempt, claim } = held;
    try {
      const touched = await connection.query(TOUCH, keyOf(kind, attempt));
      if (touched.length === 0 && !held.isEnding) claim.lose();
    } catch (error) {
      connection.warn(error);
    }
  }
}

/** The first values of statements on one claim. */
export function keyOf(kind: JobKind, { id, claim }: Attempt): readonly unknown[] {
  return [kind, id, claim];
}
