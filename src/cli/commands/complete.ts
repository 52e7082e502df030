/** `varve __complete -- WORDS...`: what the completion scripts call. */
import type { Command } from "../command.ts";
import { complete, type Completion } from "../completion/candidates.ts";

/** As people write the names of Docker Hub's images. */
function short(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, "");
}

export const completeCommand: Command<Completion> = {
  arguments: [{ name: "[word...]", summary: "the words typed so far" }],
  flags: [],

  run({ args, services }) {
    const typed = args.at(-1) ?? "";
    // A store that cannot be read is no reason to disturb someone who is typing.
    const images = (): Promise<readonly string[]> =>
      services.listImages().then(
        (rows) => rows.flatMap(({ name }) => (typed === "" ? [short(name)] : [name, short(name)])),
        () => [],
      );
    return complete(args, images);
  },

  render: ({ words, files }) => [files, ...words].map((line) => `${line}\n`).join(""),
};
