/** `varve disk ACTION ...`: disk images of virtual machines. Each action has a file of its own in disk/, and a place in this list. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Command } from "../command.ts";
import { parseChoice } from "../parse-values.ts";
import type { DiskAction } from "./disk/action.ts";
import { cloneAction } from "./disk/clone.ts";
import { copyAction } from "./disk/copy.ts";
import { exportAction } from "./disk/export.ts";
import { flagsOf, refuseForeignFlags } from "./disk/flags.ts";
import { importAction } from "./disk/import.ts";
import { infoAction } from "./disk/info.ts";

const ACTIONS: readonly DiskAction[] = [importAction, exportAction, cloneAction, infoAction, copyAction];
const NAMES = ACTIONS.map(({ name }) => name);

/** Which action gave a result, for only that one can render it. */
const givenBy = new WeakMap<object, DiskAction>();

export const diskCommand: Command<object> = {
  arguments: [
    { name: "<action>", summary: "what to do", choices: NAMES },
    {
      name: "[word...]",
      summary: "images of the store and files, as the action takes them",
      completes: ([name, ...words]) => ACTIONS.find((action) => action.name === name)?.completes(words) ?? "nothing",
    },
  ],
  flags: flagsOf(ACTIONS),
  notes: [`${ACTIONS.map(({ usage }) => usage).join("; ")}.`, ...ACTIONS.flatMap(({ notes }) => notes)],
  examples: ACTIONS.flatMap(({ examples }) => examples),
  showsProgress: true,

  async run(call) {
    const [given = "", ...words] = call.args;
    const name = parseChoice("ACTION", given, NAMES);
    const action = ACTIONS.find((one) => one.name === name)!;
    const [least, most] = action.words;
    if (words.length < least || words.length > most) {
      throw new VarveError("USAGE", `write it as: varve disk ${action.usage}`, { hint: "see varve disk --help" });
    }
    refuseForeignFlags(action, ACTIONS, call.flags);
    const result = await action.run({ ...call, args: words });
    givenBy.set(result, action);
    return result;
  },

  render: (data, view) => givenBy.get(data)?.render(data, view) ?? "",
};
