/** A word that names a file, or `-` for a standard stream. */
import { resolve } from "node:path";
import { STANDARD_STREAM } from "../../../delta/rdiff/options.ts";
import { parsePath } from "../../parse-values.ts";

/** @throws VarveError `USAGE` */
export function parsePlace(word: string, given: string | undefined): string {
  return given === STANDARD_STREAM ? STANDARD_STREAM : resolve(parsePath(word, given ?? ""));
}
