/** What an action of `varve rdiff` is: a command of its own but for the flags, which all of them share a list of. */
import type { RdiffResult } from "../../../delta/rdiff/results.ts";
import type { Call, FlagSpec } from "../../command.ts";

/** `call.args` are the words after the action's name. */
export interface RdiffAction {
  readonly name: string;
  /** Its words and flags as they are written: `patch BASIS DELTA NEW`. */
  readonly usage: string;
  /** How many words it takes; the last is what it writes. */
  readonly words: number;
  readonly flags: readonly FlagSpec[];
  run(call: Call): Promise<RdiffResult>;
}

export const FORCE_FLAG: FlagSpec = {
  flags: "-f, --force",
  summary: "replace the file that is written where there is one, when all is done",
};
