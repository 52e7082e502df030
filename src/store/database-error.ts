/** SQLite's result codes as coded errors. */
import { toVarveError } from "../errors/from-system.ts";
import type { ErrorCode } from "../errors/table.ts";
import { VarveError } from "../errors/varve-error.ts";

/** By SQLite's primary result code, the low byte of an extended one. */
const BY_RESULT: Readonly<Record<number, ErrorCode>> = {
  3: "PERMISSION",
  5: "STORE_BUSY",
  6: "STORE_BUSY",
  8: "STORE_READ_ONLY",
  10: "IO",
  11: "STORE_CORRUPT",
  13: "NO_SPACE",
  14: "PERMISSION",
  26: "STORE_CORRUPT",
};

/**
 * SQLite's extended code for a shared-memory file that could not be made large enough (SQLITE_IOERR_SHMSIZE): a full disk, where a full
 * disk under the database itself is SQLITE_FULL.
 */
export const SHARED_MEMORY_SIZE = 4874;

export function databaseError(error: unknown, path: string): VarveError {
  const { errcode, code } = error as { errcode?: unknown; code?: unknown };
  if (!(error instanceof Error) || code !== "ERR_SQLITE_ERROR" || typeof errcode !== "number")
    return toVarveError(error, path);
  const mapped = errcode === SHARED_MEMORY_SIZE ? "NO_SPACE" : (BY_RESULT[errcode & 0xff] ?? "INTERNAL");
  return new VarveError(mapped, `${path}: ${error.message}`, { cause: error, detail: { sqlite: errcode } });
}
