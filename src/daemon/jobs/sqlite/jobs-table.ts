/** What happens to jobs, as transactions on jobs.db. Each is synchronous, so that nobody in this process comes between. */
import { randomUUID } from "node:crypto";
import type { SQLInputValue } from "node:sqlite";
import { VarveError } from "../../../errors/varve-error.ts";
import type { Connection, Row } from "../../../store/connection.ts";
import { abandoned, MAX_ATTEMPTS, MAX_DEATHS, MAX_QUEUED, retryDelayMs } from "../retries.ts";
import type { Job, JobKind, ListOptions } from "../types.ts";
import { jobOf } from "./rows.ts";

const DEFAULT_LIST = 100;
const MAX_LIST = 1000;
/** Of inputs and results together; older jobs than these are left out of a list. */
const MAX_LIST_BYTES = 32 << 20;
/** Ended jobs that are kept at most, however young they are. */
const MAX_ENDED = 10_000;

/** Tells one claim of a job from all others. */
export interface ClaimKey {
  readonly id: string;
  readonly owner: string;
  readonly claim: number;
}

export class JobsTable implements Disposable {
  readonly #db: Connection;
  readonly #now: () => number;

  constructor(db: Connection, now: () => number) {
    this.#db = db;
    this.#now = now;
  }

  /** @param input JSON @throws VarveError `QUEUE_FULL` */
  add(kind: JobKind, input: string): Job {
    const id = randomUUID();
    this.#db.transaction(() => {
      if (this.depth().queued >= MAX_QUEUED) {
        throw new VarveError("QUEUE_FULL", `${MAX_QUEUED} jobs wait already`);
      }
      this.#db.run(
        "INSERT INTO jobs (id, kind, input, state, created_at, change) VALUES (?, ?, ?, 'queued', ?, ?)",
        id,
        kind,
        input,
        this.#now(),
        this.#nextChange(),
      );
    });
    return this.get(id)!;
  }

  get(id: string): Job | undefined {
    const row = this.#db.get("SELECT * FROM jobs WHERE id = ?", id);
    return row && jobOf(row);
  }

  list({ kind, state, limit = DEFAULT_LIST }: ListOptions): Job[] {
    const rows = this.#db.all(
      `SELECT * FROM jobs WHERE seq IN (
         SELECT seq FROM (
           SELECT seq, sum(bytes) OVER (ORDER BY seq DESC) AS total FROM (
             SELECT seq, octet_length(input) + coalesce(octet_length(result), 0) AS bytes FROM jobs
             WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR state = ?2) ORDER BY seq DESC LIMIT ?3))
         WHERE total <= ?4)
       ORDER BY seq DESC`,
      kind ?? null,
      state ?? null,
      Math.min(Math.max(0, Math.trunc(limit)), MAX_LIST),
      MAX_LIST_BYTES,
    );
    return rows.map(jobOf);
  }

  depth(): { queued: number; running: number } {
    const count = (state: string): number =>
      Number(this.#db.get("SELECT count(*) AS n FROM jobs WHERE state = ?", state)?.["n"]);
    return { queued: count("queued"), running: count("running") };
  }

  /** Gives the oldest job that may be tried now to the owner. */
  take(kinds: readonly JobKind[], owner: string, worker: string): { job: Job; key: ClaimKey } | undefined {
    if (this.#oldest(kinds) === undefined) return undefined;
    return this.#db.transaction(() => {
      const found = this.#oldest(kinds);
      if (found === undefined) return undefined;
      const id = String(found["id"]);
      this.#db.run(
        `UPDATE jobs SET state = 'running', attempts = attempts + 1, claim = claim + 1, owner = ?, worker = ?, started_at = ?,
           result = NULL, error = NULL, change = ? WHERE id = ?`,
        owner,
        worker,
        this.#now(),
        this.#nextChange(),
        id,
      );
      const row = this.#db.get("SELECT * FROM jobs WHERE id = ?", id)!;
      return { job: jobOf(row), key: { id, owner, claim: Number(row["claim"]) } };
    });
  }

  isHeld(key: ClaimKey): boolean {
    return this.#held(key) !== undefined;
  }

  /** @returns false when the claim is lost, as do all that end one */
  done(key: ClaimKey, result: string): boolean {
    return this.#end(key, () => this.#change(key.id, "state = 'done', result = ?, ended_at = ?", result, this.#now()));
  }

  fail(key: ClaimKey, error: string, retry: boolean): boolean {
    return this.#end(key, (row) => {
      const attempts = Number(row["attempts"]);
      if (retry && attempts < MAX_ATTEMPTS) {
        const notBefore = this.#now() + retryDelayMs(attempts);
        this.#change(key.id, "state = 'queued', owner = NULL, error = ?, not_before = ?", error, notBefore);
      } else {
        this.#change(key.id, "state = 'failed', error = ?, ended_at = ?", error, this.#now());
      }
    });
  }

  release(key: ClaimKey): boolean {
    return this.#end(key, () =>
      this.#change(key.id, "state = 'queued', owner = NULL, worker = NULL, started_at = NULL, attempts = attempts - 1"),
    );
  }

  cancel(id: string): Job | undefined {
    this.#db.transaction(() => {
      const state = this.#db.get("SELECT state FROM jobs WHERE id = ?", id)?.["state"];
      if (state === "queued" || state === "running") this.#change(id, "state = 'cancelled', ended_at = ?", this.#now());
    });
    return this.get(id);
  }

  /** Others that have jobs at this moment. */
  ownersBeside(owner: string): string[] {
    const rows = this.#db.all("SELECT DISTINCT owner FROM jobs WHERE state = 'running' AND owner <> ?", owner);
    return rows.map((row) => String(row["owner"]));
  }

  /** What the owner was at when it died is tried again, or fails where it was tried as often as may be. */
  putBack(owner: string): void {
    this.#db.transaction(() => {
      const rows = this.#db.all("SELECT id, attempts FROM jobs WHERE state = 'running' AND owner = ?", owner);
      for (const row of rows) {
        const [id, attempts] = [String(row["id"]), Number(row["attempts"])];
        if (attempts < MAX_DEATHS) this.#change(id, "state = 'queued', owner = NULL");
        else {
          const error = JSON.stringify(abandoned(attempts));
          this.#change(id, "state = 'failed', error = ?, ended_at = ?", error, this.#now());
        }
      }
    });
  }

  /** Forgets what ended before `endedBefore`, and of the rest what is too much. */
  sweep(endedBefore: number): void {
    this.#db.run("DELETE FROM jobs WHERE ended_at < ?", endedBefore);
    this.#db.run(
      `DELETE FROM jobs WHERE ended_at IS NOT NULL AND seq NOT IN
         (SELECT seq FROM jobs WHERE ended_at IS NOT NULL ORDER BY ended_at DESC LIMIT ?)`,
      MAX_ENDED,
    );
  }

  lastChange(): number {
    return Number(this.#db.get("SELECT last FROM changes")?.["last"]);
  }

  changedSince(change: number): string[] {
    const rows = this.#db.all("SELECT id FROM jobs WHERE change > ? ORDER BY change", change);
    return rows.map((row) => String(row["id"]));
  }

  /** When the next job may be tried again that waits for a time to pass. */
  nextDue(): number | undefined {
    const sql = "SELECT min(not_before) AS due FROM jobs WHERE state = 'queued' AND not_before > ?";
    const due = this.#db.get(sql, this.#now())?.["due"];
    return typeof due === "number" ? due : undefined;
  }

  [Symbol.dispose](): void {
    this.#db[Symbol.dispose]();
  }

  #oldest(kinds: readonly JobKind[]): Row | undefined {
    const marks = kinds.map(() => "?").join(", ");
    const sql = `SELECT id FROM jobs WHERE state = 'queued' AND kind IN (${marks}) AND not_before <= ? ORDER BY seq LIMIT 1`;
    return this.#db.get(sql, ...kinds, this.#now());
  }

  #held({ id, owner, claim }: ClaimKey): Row | undefined {
    const sql = "SELECT attempts FROM jobs WHERE id = ? AND state = 'running' AND owner = ? AND claim = ?";
    return this.#db.get(sql, id, owner, claim);
  }

  #end(key: ClaimKey, write: (row: Row) => void): boolean {
    return this.#db.transaction(() => {
      const row = this.#held(key);
      if (row !== undefined) write(row);
      return row !== undefined;
    });
  }

  #change(id: string, set: string, ...values: SQLInputValue[]): void {
    this.#db.run(`UPDATE jobs SET ${set}, change = ? WHERE id = ?`, ...values, this.#nextChange(), id);
  }

  #nextChange(): number {
    return Number(this.#db.get("UPDATE changes SET last = last + 1 RETURNING last")?.["last"]);
  }
}
