/** `varve __complete -- WORDS...`: what the completion scripts call. */
import type { Command } from "../command.ts";
import { complete, type Completion } from "../completion/candidates.ts";

/** As people write the names of Docker Hub's images. */
function short(name: string): string {
  return name.replace(/^docker\.io\/(library\/)?/, "");
}

/** The store that the line names. */
function rootIn(words: readonly string[]): { readonly root?: string } {
  const before = words.slice(0, -1);
  const end = before.indexOf("--");
  const flags = end === -1 ? before : before.slice(0, end);
  const root = flags.flatMap((word, index) => {
    if (word === "--root") return flags[index + 1] ?? [];
    return word.startsWith("--root=") ? word.slice("--root=".length) : [];
  });
  const last = root.at(-1);
  return last === undefined || last === "" ? {} : { root: last };
}

export const completeCommand: Command<Completion> = {
  arguments: [{ name: "[word...]", summary: "the words typed so far" }],
  flags: [],

  globalsIn: rootIn,

  run({ args, services }) {
    const typed = args.at(-1) ?? "";
    // A store that cannot be read is no reason to disturb someone who is typing.
    return complete(args, {
      images: () =>
        services.listImages().then(
          (rows) => rows.flatMap(({ name }) => (typed === "" ? [short(name)] : [name, short(name)])),
          () => [],
        ),
      snapshots: () => services.listSnapshots().catch(() => []),
    });
  },

  render: ({ words, files }) => [files, ...words].map((line) => `${line}\n`).join(""),
};
