/** Words of requests that mean images of the store: no place elsewhere, and no file of the machine that the daemon runs on. */
import { VarveError } from "../../errors/varve-error.ts";
import { isHeldName } from "../../transfer/open-place.ts";

/** @throws VarveError `REFERENCE_INVALID` for `docker://`, `oci:` and the like, which the command line would open */
export function heldWord(word: string): string {
  if (isHeldName(word)) return word;
  throw new VarveError("REFERENCE_INVALID", `this names no image of the store: ${JSON.stringify(word.slice(0, 160))}`, {
    hint: "give a name as GET /v1/images lists them",
  });
}
