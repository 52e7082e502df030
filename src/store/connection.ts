/** One connection to meta.db: statements prepared once, errors coded, transactions that cannot be interleaved. */
import type { DatabaseSync, SQLInputValue, SQLOutputValue, StatementSync } from "node:sqlite";
import { databaseError } from "./database-error.ts";

export type Row = Record<string, SQLOutputValue>;

/** A connection; all its methods are synchronous, so that a transaction cannot be interleaved within this process. */
export class Connection implements Disposable {
  readonly #database: DatabaseSync;
  readonly #path: string;
  readonly #statements = new Map<string, StatementSync>();
  readonly #release: () => void;

  constructor(database: DatabaseSync, path: string, release: () => void = () => {}) {
    this.#database = database;
    this.#path = path;
    this.#release = release;
  }

  all(sql: string, ...values: SQLInputValue[]): Row[] {
    return this.#coded(() => this.#prepare(sql).all(...values));
  }

  get(sql: string, ...values: SQLInputValue[]): Row | undefined {
    return this.#coded(() => this.#prepare(sql).get(...values));
  }

  /** @returns the number of rows changed */
  run(sql: string, ...values: SQLInputValue[]): number {
    return this.#coded(() => Number(this.#prepare(sql).run(...values).changes));
  }

  exec(sql: string): void {
    this.#coded(() => this.#database.exec(sql));
  }

  /** Runs `work` as one transaction that has the write lock from its start: it cannot fail half-way for being late. */
  transaction<T>(work: () => T): T {
    this.exec("BEGIN IMMEDIATE");
    try {
      const result = work();
      this.exec("COMMIT");
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec("ROLLBACK");
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    this.#database.close();
    this.#release();
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#database.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }

  #coded<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      throw databaseError(error, this.#path);
    }
  }
}
