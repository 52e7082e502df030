/** Errors that condemn a layer's bytes, as against those that only cut work off. */
import type { ErrorCode } from "../errors/table.ts";
import { VarveError } from "../errors/varve-error.ts";

const VERDICTS: ReadonlySet<ErrorCode> = new Set([
  "DIFFID_MISMATCH",
  "COMPRESSION_INVALID",
  "LAYER_INVALID",
  "LAYER_LIMIT",
]);

export function isContentVerdict(error: unknown): error is VarveError {
  return error instanceof VarveError && VERDICTS.has(error.code);
}
