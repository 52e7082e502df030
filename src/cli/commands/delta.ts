/** `varve delta ACTION ...`: deltas between images. Each action has a file of its own in delta/, and a place in this list. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Command } from "../command.ts";
import { parseChoice } from "../parse-values.ts";
import type { DeltaAction } from "./delta/action.ts";
import { applyAction } from "./delta/apply.ts";
import { composeAction } from "./delta/compose.ts";
import { createAction } from "./delta/create.ts";
import { inspectAction } from "./delta/inspect.ts";
import { flagsOf, refuseForeignFlags } from "./disk/flags.ts";

const ACTIONS: readonly DeltaAction[] = [createAction, inspectAction, composeAction, applyAction];
const NAMES = ACTIONS.map(({ name }) => name);

/** Which action gave a result, for only that one can render it. */
const givenBy = new WeakMap<object, DeltaAction>();

export const deltaCommand: Command<object> = {
  arguments: [
    { name: "<action>", summary: "what to do", choices: NAMES },
    {
      name: "[word...]",
      summary: "images, as the action takes them",
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
      throw new VarveError("USAGE", `write it as: varve delta ${action.usage}`, { hint: "see varve delta --help" });
    }
    refuseForeignFlags(action, ACTIONS, call.flags, "delta");
    const result = await action.run({ ...call, args: words });
    givenBy.set(result, action);
    return result;
  },

  render: (data, view) => givenBy.get(data)?.render(data, view) ?? "",
};
