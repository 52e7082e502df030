/** `varve completion SHELL` */
import type { Command } from "../command.ts";
import { COMPLETION_SCRIPTS, type Shell, SHELLS } from "../completion/scripts.ts";
import { parseChoice } from "../parse-values.ts";

export interface CompletionData {
  readonly shell: Shell;
  readonly script: string;
}

export const completionCommand: Command<CompletionData> = {
  arguments: [{ name: "<shell>", summary: SHELLS.join(", "), choices: SHELLS }],
  flags: [],
  examples: ["source <(varve completion bash)", "varve completion fish | source"],

  async run({ args }) {
    const shell = parseChoice("completion", args[0] ?? "", SHELLS);
    return { shell, script: COMPLETION_SCRIPTS[shell] };
  },

  render: ({ script }) => script,
};
