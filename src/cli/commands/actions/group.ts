/** A group of commands, `varve GROUP ACTION ...`, made of its actions. */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Command } from "../../command.ts";
import { parseChoice } from "../../parse-values.ts";
import type { Action } from "./action.ts";
import { flagsOf, refuseForeignFlags } from "./flags.ts";

/** @param words what the words after the action are, for the help */
export function actionGroup(group: string, words: string, actions: readonly Action[]): Command<object> {
  const names = actions.map(({ name }) => name);
  /** Which action gave a result, for only that one can render it. */
  const givenBy = new WeakMap<object, Action>();
  return {
    arguments: [
      { name: "<action>", summary: "what to do", choices: names },
      {
        name: "[word...]",
        summary: words,
        completes: ([name, ...before]) =>
          actions.find((action) => action.name === name)?.completes(before) ?? "nothing",
      },
    ],
    flags: flagsOf(actions),
    notes: [`${actions.map(({ usage }) => usage).join("; ")}.`, ...actions.flatMap(({ notes }) => notes)],
    examples: actions.flatMap(({ examples }) => examples),
    showsProgress: true,

    async run(call) {
      const [given = "", ...args] = call.args;
      const name = parseChoice("ACTION", given, names);
      const action = actions.find((one) => one.name === name)!;
      const [least, most] = action.words;
      if (args.length < least || args.length > most) {
        const message = `write it as: varve ${group} ${action.usage}`;
        throw new VarveError("USAGE", message, { hint: `see varve ${group} --help` });
      }
      refuseForeignFlags(action, actions, call.flags, group);
      const result = await action.run({ ...call, args });
      givenBy.set(result, action);
      return result;
    },

    render: (data, view) => givenBy.get(data)?.render(data, view) ?? "",
  };
}
