/** The two ways in which an archive is turned down, both saying where (byte offset in the tar) and what. */
import { VarveError } from "../../errors/varve-error.ts";

/** LAYER_INVALID: no reader of tars could make sense of it. */
export function invalid(what: string, offset: number): VarveError {
  return new VarveError("LAYER_INVALID", `${what}, at byte ${offset} of the tar`, { detail: { offset } });
}

/** LAYER_LIMIT: it may be a tar, but costs more than the limits allow. */
export function overLimit(what: string, offset: number): VarveError {
  return new VarveError("LAYER_LIMIT", `${what}, at byte ${offset} of the tar`, { detail: { offset } });
}

/** A name as a message may show it: quoted, control characters escaped, cut to a readable length. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > 120 ? `${name.slice(0, 117)}...` : name);
}
