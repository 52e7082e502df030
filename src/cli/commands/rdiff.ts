/** `varve rdiff ACTION ...`: deltas between plain files. Each action has a file of its own in rdiff/, and a place in this list. */
import { STANDARD_STREAM } from "../../delta/rdiff/options.ts";
import type { RdiffResult } from "../../delta/rdiff/results.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Command } from "../command.ts";
import { parseChoice } from "../parse-values.ts";
import { renderRdiff } from "../print/rdiff.ts";
import { flagsOf, refuseForeignFlags } from "./actions/flags.ts";
import type { RdiffAction } from "./rdiff/action.ts";
import { deltaAction } from "./rdiff/delta.ts";
import { diffAction } from "./rdiff/diff.ts";
import { patchAction } from "./rdiff/patch.ts";
import { signatureAction } from "./rdiff/signature.ts";

const ACTIONS: readonly RdiffAction[] = [signatureAction, deltaAction, diffAction, patchAction];
const NAMES = ACTIONS.map(({ name }) => name);

export const rdiffCommand: Command<RdiffResult> = {
  arguments: [
    { name: "<action>", summary: "what to do", choices: NAMES },
    { name: "[file...]", summary: "files, as the action takes them; the last is written", completes: () => "file" },
  ],
  flags: flagsOf(ACTIONS),
  notes: [
    `${ACTIONS.map(({ usage }) => usage).join("; ")}.`,
    "What librsync's rdiff writes is read here, and the other way round. diff compares the two files themselves: no signature is needed, and the delta is " +
      "smaller. - is standard input or output; but patch and diff read BASIS in any order, so that one is a file.",
  ],
  examples: [
    "varve rdiff diff old.tar new.tar update.delta",
    "varve rdiff patch old.tar update.delta new.tar",
    "varve rdiff signature old.tar - | ssh build varve rdiff delta - new.tar update.delta",
  ],
  showsProgress: true,

  async run(call) {
    const [given = "", ...words] = call.args;
    const name = parseChoice("ACTION", given, NAMES);
    const action = ACTIONS.find((one) => one.name === name)!;
    if (words.length !== action.words) {
      throw new VarveError("USAGE", `write it as: varve rdiff ${action.usage}`, { hint: "see varve rdiff --help" });
    }
    refuseForeignFlags(action, ACTIONS, call.flags, "rdiff");
    if (call.settings.json && words.at(-1) === STANDARD_STREAM) {
      throw new VarveError("USAGE", "standard output cannot hold both the file and the report", {
        hint: "name a file, or leave out --json",
      });
    }
    return action.run({ ...call, args: words });
  },

  render: renderRdiff,
};
