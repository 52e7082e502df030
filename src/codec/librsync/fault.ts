/** What is said of signatures and deltas that are not what they should be. */
import { VarveError } from "../../errors/varve-error.ts";

/** @param at bytes from the delta's start */
export function badDelta(what: string, at: number): VarveError {
  return new VarveError("DELTA_INVALID", `the delta ${what} (at byte ${at})`, { detail: { at } });
}

/** @param at bytes from the signature's start */
export function badSignature(what: string, at: number): VarveError {
  return new VarveError("SIGNATURE_INVALID", `the signature ${what} (at byte ${at})`, { detail: { at } });
}
