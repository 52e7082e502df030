import { VarveError } from "./varve-error.ts";
import type { ErrorCode } from "./table.ts";

const BY_ERRNO: Readonly<Record<string, ErrorCode>> = {
  ENOSPC: "NO_SPACE",
  EDQUOT: "NO_SPACE",
  EROFS: "STORE_READ_ONLY",
  EACCES: "PERMISSION",
  EPERM: "PERMISSION",
  ENOENT: "FILE_NOT_FOUND",
};

/**
 * Turns whatever was thrown into a coded error: coded errors pass, system errors are mapped by errno, an abort becomes
 * `INTERRUPTED`, the rest is `INTERNAL`. `doing` says what was tried, for the message.
 */
export function toVarveError(error: unknown, doing?: string): VarveError {
  if (error instanceof VarveError) return error;
  // What went wrong first is what happened; that closing something then failed as well follows from it.
  if (error instanceof SuppressedError) return toVarveError(error.suppressed, doing);
  const prefix = doing === undefined ? "" : `${doing}: `;
  if (!(error instanceof Error)) return new VarveError("INTERNAL", prefix + String(error));
  if (error.name === "AbortError") return new VarveError("INTERRUPTED", `${prefix}interrupted`, { cause: error });
  const errno = (error as NodeJS.ErrnoException).code;
  if (errno !== undefined && /^E[A-Z0-9]+$/.test(errno) && "syscall" in error) {
    return new VarveError(BY_ERRNO[errno] ?? "IO", prefix + error.message, { cause: error, detail: { errno } });
  }
  return new VarveError("INTERNAL", prefix + error.message, { cause: error });
}
