/**
 * Opening meta.db where nothing may be written. A WAL database wants a shared-memory file beside it even for reading; where
 * that cannot be made (a read-only file system, another user's store, a full disk) the database is opened as immutable, and when
 * a writer died and left a log beside it, as a private copy in which SQLite can play the log back.
 */
import { copyFile, mkdtemp, rm, stat } from "node:fs/promises";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ErrorCode } from "../errors/table.ts";
import { Connection } from "./connection.ts";
import { databaseError } from "./database-error.ts";

const BUSY_TIMEOUT_MS = 10_000;

/** Nothing can be written beside the database. */
const NOT_BESIDE_IT: ReadonlySet<ErrorCode> = new Set(["PERMISSION", "STORE_READ_ONLY", "NO_SPACE"]);

/** @throws VarveError `STORE_CORRUPT`, `PERMISSION`, `IO` */
export async function openForReading(path: string): Promise<Connection> {
  const { DatabaseSync } = await import("node:sqlite");
  const open = (location: string | URL, release?: () => void): Connection => {
    const connection = new Connection(
      new DatabaseSync(location, { readOnly: true, timeout: BUSY_TIMEOUT_MS }),
      path,
      release,
    );
    try {
      connection.get("SELECT count(*) FROM sqlite_master");
      return connection;
    } catch (error) {
      connection[Symbol.dispose]();
      throw error;
    }
  };
  try {
    return open(path);
  } catch (error) {
    const coded = databaseError(error, path);
    if (!NOT_BESIDE_IT.has(coded.code)) throw coded;
  }
  try {
    return (await hasLog(path)) ? await openCopy(path, open) : open(immutable(path));
  } catch (error) {
    throw databaseError(error, path);
  }
}

/**
 * A private copy that may be changed: of a database that has to be read as if it were of a newer schema. It goes when it is closed.
 * @throws VarveError `STORE_CORRUPT`, `PERMISSION`, `NO_SPACE`, `IO`
 */
export async function openPrivateCopy(path: string): Promise<Connection> {
  const { DatabaseSync } = await import("node:sqlite");
  try {
    return await openCopy(path, (copy, release) => new Connection(new DatabaseSync(copy), path, release));
  } catch (error) {
    throw databaseError(error, path);
  }
}

function immutable(path: string): URL {
  const url = pathToFileURL(path);
  url.search = "?immutable=1";
  return url;
}

async function hasLog(path: string): Promise<boolean> {
  const log = await stat(`${path}-wal`).catch(() => undefined);
  return log !== undefined && log.size > 0;
}

async function openCopy(
  path: string,
  open: (location: string, release: () => void) => Connection,
): Promise<Connection> {
  const directory = await mkdtemp(join(tmpdir(), "varve-meta-"));
  try {
    const copy = join(directory, "meta.db");
    await copyFile(path, copy);
    if (await hasLog(path)) await copyFile(`${path}-wal`, `${copy}-wal`);
    return open(copy, () => rmSync(directory, { recursive: true, force: true }));
  } catch (error) {
    await rm(directory, { recursive: true, force: true });
    throw error;
  }
}
