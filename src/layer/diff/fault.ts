/** Which coded error a system error is, when it came of reading a tree that somebody may be writing. */
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { quoteName } from "../names.ts";

/** What the kernel says when a name does not mean any more what it meant a moment ago. */
const GONE: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ESTALE", "ENXIO"]);

/** @param path in the tree; the root is "" */
export function readFault(error: unknown, path: string): VarveError {
  if (error instanceof VarveError) return error;
  if (GONE.has((error as NodeJS.ErrnoException).code ?? "")) return changedMeanwhile(path, error);
  return toVarveError(error, `reading ${quoteName(path === "" ? "/" : path)}`);
}

export function changedMeanwhile(path: string, cause?: unknown): VarveError {
  return new VarveError("SOURCE_CHANGED", `${quoteName(path)} changed while it was read`, {
    hint: "stop what writes there, then try again",
    detail: { path },
    ...(cause !== undefined && { cause }),
  });
}
