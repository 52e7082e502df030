/** The command that completion scripts call. It knows all the others, so it stands apart from their list. */
import type { CommandEntry } from "./commands.ts";

export const COMPLETE_COMMAND: CommandEntry = {
  name: "__complete",
  summary: "print candidates for a shell",
  load: async () => (await import("./commands/complete.ts")).completeCommand,
};
