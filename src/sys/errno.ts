/** System errors in the shape that `node:fs` throws, made from the numbers that system calls return. */
import { constants } from "node:os";
import { getSystemErrorMessage } from "node:util";

const NAMES = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
// Linux has two names for one number each; the first of a pair is what node:fs says.
NAMES.set(constants.errno.EAGAIN, "EAGAIN");
NAMES.set(constants.errno.ENOTSUP, "ENOTSUP");
// This one Node has no name for.
const ENOTBLK = 15;
NAMES.set(ENOTBLK, "ENOTBLK");

/** `EEXIST` for 17; a number that this system does not name becomes `E<number>`. */
export function errnoName(errno: number): string {
  return NAMES.get(errno) ?? `E${errno}`;
}

/** The error for an errno (positive), as `node:fs` would have thrown it. */
export function systemError(errno: number, syscall: string, path?: string): NodeJS.ErrnoException {
  const code = errnoName(errno);
  const on = path === undefined ? "" : ` '${path}'`;
  const error: NodeJS.ErrnoException = new Error(`${code}: ${message(errno)}, ${syscall}${on}`);
  error.errno = -errno;
  error.code = code;
  error.syscall = syscall;
  if (path !== undefined) error.path = path;
  return error;
}

function message(errno: number): string {
  if (errno === ENOTBLK) return "block device required";
  try {
    return getSystemErrorMessage(-errno);
  } catch {
    return "system error";
  }
}

/**
 * Passes a kernel-style result (0 or more, or a negated errno) when it is good.
 * @throws NodeJS.ErrnoException otherwise
 */
export function must(result: number, syscall: string, path?: string): number {
  if (result < 0) throw systemError(-result, syscall, path);
  return result;
}

/** The negated errno of what `node:fs` threw; anything that is no system error is thrown on. */
export function negatedErrno(error: unknown): number {
  const errno = (error as NodeJS.ErrnoException).errno;
  if (error instanceof Error && typeof errno === "number" && errno < 0) return errno;
  throw error;
}
