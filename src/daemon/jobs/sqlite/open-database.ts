/**
 * Opens jobs.db, readable to its user alone. One that is damaged is set aside, so that a daemon comes up without its list of jobs rather
 * than not at all; one that a newer varve made is refused.
 */
import { closeSync, constants, existsSync, mkdirSync, openSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { toVarveError } from "../../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../../errors/varve-error.ts";
import { Connection } from "../../../store/connection.ts";
import { lock } from "../../../sys/flock.ts";
import { STEPS } from "./schema.ts";

/** A statement waits in this thread for another process' transaction, which is of a few rows. */
const BUSY_TIMEOUT_MS = 2_000;

/** @param onWarning told with `QUEUE_CORRUPT` when a damaged one was set aside */
export async function openJobsDatabase(
  directory: string,
  onWarning: (warning: VarveError) => void,
): Promise<Connection> {
  const path = join(directory, "jobs.db");
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    // Under a lock, because neither the change to WAL mode nor a migration waits for another process.
    using _lock = await lock(join(directory, "jobs.lock"));
    try {
      return openSound(path);
    } catch (error) {
      if (!isVarveError(error, "STORE_CORRUPT")) throw error;
      onWarning(damaged(path, setAside(path), error));
      return openSound(path);
    }
  } catch (error) {
    throw toVarveError(error, `opening ${path}`);
  }
}

function openSound(path: string): Connection {
  // SQLite gives its log and its shared memory the mode of the database.
  closeSync(openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600));
  const connection = new Connection(new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }), path);
  try {
    const version = versionOf(connection);
    if (version > STEPS.length) {
      throw new VarveError("STORE_NEWER", `${path} was made by a newer varve (schema ${version})`);
    }
    connection.exec("PRAGMA journal_mode = WAL");
    connection.exec("PRAGMA synchronous = FULL");
    checkSound(connection, path);
    connection.transaction(() => {
      for (const step of STEPS.slice(version)) connection.exec(step);
      connection.exec(`PRAGMA user_version = ${STEPS.length}`);
    });
    return connection;
  } catch (error) {
    connection[Symbol.dispose]();
    throw error;
  }
}

function checkSound(connection: Connection, path: string): void {
  const said = connection.get("PRAGMA quick_check(1)")?.["quick_check"];
  if (said !== "ok") throw new VarveError("STORE_CORRUPT", `${path}: ${String(said)}`);
}

function versionOf(connection: Connection): number {
  return Number(connection.get("PRAGMA user_version")?.["user_version"]);
}

/** @returns where it is now */
function setAside(path: string): string {
  let aside = `${path}.damaged`;
  for (let number = 1; existsSync(aside); number++) aside = `${path}.damaged-${number}`;
  // The log first: beside an empty database it would be played into that.
  for (const end of ["-wal", "-shm", ""]) {
    if (existsSync(path + end)) renameSync(path + end, aside + end);
  }
  return aside;
}

function damaged(path: string, aside: string, cause: VarveError): VarveError {
  return new VarveError("QUEUE_CORRUPT", `the list of jobs is damaged and was set aside as ${aside}`, {
    cause,
    detail: { path, aside },
  });
}
