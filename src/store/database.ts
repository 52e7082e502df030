/**
 * The metadata database: SQLite in WAL mode, opened at the first use so that commands that need none pay nothing. A store
 * made by a newer varve is refused untouched.
 */
import { existsSync } from "node:fs";
import { rename } from "node:fs/promises";
import type { DatabaseSync } from "node:sqlite";
import { VarveError } from "../errors/varve-error.ts";
import { Connection } from "./connection.ts";
import { databaseError } from "./database-error.ts";
import type { StoreLayout } from "./layout.ts";
import type { StoreLocks } from "./locks.ts";
import { MIGRATIONS, SCHEMA_VERSION } from "./migrations.ts";
import { openForReading, openPrivateCopy } from "./read-only-database.ts";

/** How long one statement waits for another process's transaction; transactions are a few rows. */
const BUSY_TIMEOUT_MS = 10_000;

export interface MetadataOptions {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly readOnly: boolean;
  readonly sync: boolean;
}

export class Metadata {
  readonly #options: MetadataOptions;
  #opening: Promise<Connection | undefined> | undefined;
  #closed = false;

  constructor(options: MetadataOptions) {
    this.#options = options;
  }

  /** For changes. @throws VarveError `STORE_READ_ONLY`, `STORE_NEWER`, `STORE_CORRUPT`, `STORE_BUSY` */
  async writable(): Promise<Connection> {
    const { readOnly, layout } = this.#options;
    if (readOnly) throw new VarveError("STORE_READ_ONLY", `the store at ${layout.root} is open for reading only`);
    return (await this.#open())!;
  }

  /** For queries; undefined when the store is open for reading only and has no database yet. */
  readable(): Promise<Connection | undefined> {
    return this.#open();
  }

  /** Moves a database that is damaged out of the way, with its log; the next use makes an empty one. @returns where it is now */
  async setAside(): Promise<string> {
    const { layout, locks } = this.#options;
    const opening = this.#opening;
    this.#opening = undefined;
    (await opening?.catch(() => undefined))?.[Symbol.dispose]();
    using _lock = await locks.named("store");
    let aside = `${layout.database}.damaged`;
    for (let number = 1; existsSync(aside); number++) aside = `${layout.database}.damaged-${number}`;
    // The log first: beside an empty database it would be played into that.
    for (const end of ["-wal", "-shm", ""]) {
      if (existsSync(layout.database + end)) await rename(layout.database + end, aside + end);
    }
    return aside;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const opening = this.#opening;
    this.#opening = undefined;
    (await opening?.catch(() => undefined))?.[Symbol.dispose]();
  }

  async #open(): Promise<Connection | undefined> {
    if (this.#closed)
      throw new VarveError("INTERNAL", `the store at ${this.#options.layout.root} was used after it was closed`);
    this.#opening ??= this.#options.readOnly ? this.#openReadOnly() : this.#openWritable();
    try {
      return await this.#opening;
    } catch (error) {
      this.#opening = undefined;
      throw error;
    }
  }

  async #openReadOnly(): Promise<Connection | undefined> {
    const { database } = this.#options.layout;
    if (!existsSync(database)) return undefined;
    const connection = await openForReading(database);
    let version: number;
    try {
      version = schemaVersion(connection);
      refuseNewer(version, database);
      if (version === SCHEMA_VERSION) return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
    connection[Symbol.dispose]();
    return version === 0 ? undefined : migratedCopy(database);
  }

  /**
   * The database as it nearly always is: of this schema and in WAL mode. Nothing is changed then and so nothing locked, which would cost
   * a command with little to do more than all else that it does in the store.
   */
  #openMade(Database: typeof DatabaseSync): Connection | undefined {
    const { layout, sync } = this.#options;
    if (!existsSync(layout.database)) return undefined;
    let connection: Connection | undefined;
    try {
      connection = connect(Database, layout.database);
      if (schemaVersion(connection) === SCHEMA_VERSION && isWal(connection)) {
        connection.exec(synchronous(sync));
        return connection;
      }
    } catch {
      // Whatever is wrong shows again under the lock, where nobody else is at work on it.
    }
    connection?.[Symbol.dispose]();
    return undefined;
  }

  async #openWritable(): Promise<Connection> {
    const { DatabaseSync } = await import("node:sqlite");
    const { layout, locks, sync } = this.#options;
    const made = this.#openMade(DatabaseSync);
    if (made !== undefined) return made;
    // Under the lock, because the change to WAL mode and a migration do not wait for each other as transactions do.
    using _lock = await locks.named("store");
    let connection: Connection | undefined;
    try {
      connection = connect(DatabaseSync, layout.database);
      const version = schemaVersion(connection);
      refuseNewer(version, layout.database);
      connection.exec("PRAGMA journal_mode = WAL");
      connection.exec(synchronous(sync));
      migrate(connection);
      if (version !== SCHEMA_VERSION) await (await import("./reserve.ts")).keepReserve(layout);
      return connection;
    } catch (error) {
      connection?.[Symbol.dispose]();
      throw databaseError(error, layout.database);
    }
  }
}

function connect(Database: typeof DatabaseSync, path: string): Connection {
  return new Connection(new Database(path, { timeout: BUSY_TIMEOUT_MS }), path);
}

function synchronous(sync: boolean): string {
  return `PRAGMA synchronous = ${sync ? "FULL" : "OFF"}`;
}

/** Of a database that an older varve made and that may not be changed, because what is asked is of this schema. */
async function migratedCopy(path: string): Promise<Connection> {
  const copy = await openPrivateCopy(path);
  try {
    migrate(copy);
    return copy;
  } catch (error) {
    copy[Symbol.dispose]();
    throw error;
  }
}

function migrate(connection: Connection): void {
  if (schemaVersion(connection) === SCHEMA_VERSION) return;
  connection.transaction(() => {
    for (const step of MIGRATIONS.slice(schemaVersion(connection))) connection.exec(step);
    connection.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
}

function isWal(connection: Connection): boolean {
  return connection.get("PRAGMA journal_mode")?.["journal_mode"] === "wal";
}

function schemaVersion(connection: Connection): number {
  return Number(connection.get("PRAGMA user_version")?.["user_version"]);
}

function refuseNewer(version: number, path: string): void {
  if (version <= SCHEMA_VERSION) return;
  throw new VarveError(
    "STORE_NEWER",
    `${path} was made by a newer varve (schema ${version}; this one knows ${SCHEMA_VERSION})`,
  );
}
