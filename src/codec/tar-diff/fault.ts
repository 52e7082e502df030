/** What is said of a tar-diff that is not what it should be. */
import { VarveError } from "../../errors/varve-error.ts";

/** @param at bytes from where the operations begin, decompressed */
export function badTarDiff(what: string, at: number, cause?: unknown): VarveError {
  return new VarveError("DELTA_INVALID", `the delta ${what} (at byte ${at} of its operations)`, {
    detail: { at },
    ...(cause !== undefined && { cause }),
  });
}
