/** `varve diff IMAGE|KEY` */
import type { ChangeRow, SavedDiff } from "../../transfer/diff-snapshot.ts";
import type { Command } from "../command.ts";
import { parseEpoch, parsePath } from "../parse-values.ts";
import { sanitize } from "../print/sanitize.ts";
import { formatBytes } from "../print/units.ts";

export const diffCommand: Command<readonly ChangeRow[] | SavedDiff> = {
  arguments: [
    {
      name: "<snapshot>",
      summary: "a snapshot's key or name; or an image of the store, which is held to what lies below its last layer",
      completes: "image or snapshot",
    },
  ],
  flags: [{ flags: "-o, --tar <file>", summary: "write the changes to a file, as a layer's tar", completes: "file" }],
  notes: [
    "A line for each change: A what was added, C what was changed, D what was deleted, in the order of a layer.",
    "With --tar nothing in the tar is later than SOURCE_DATE_EPOCH, where the environment has it.",
  ],
  examples: ["varve diff debian:12", "varve diff work", "varve diff work -o layer.tar"],

  async run({ args, flags, settings, services }) {
    const [name = ""] = args;
    const file = flags["tar"];
    if (typeof file === "string") {
      return services.saveDiff(name, parsePath("--tar", file), parseEpoch(settings.sourceDateEpoch));
    }
    const rows: ChangeRow[] = [];
    await services.diffSnapshot(name, (row) => void rows.push(row));
    return rows;
  },

  render(data, { quiet }) {
    if (isRows(data)) return data.map(({ kind, path }) => `${kind} ${sanitize(path)}\n`).join("");
    return quiet ? `${data.diffId}\n` : `${sanitize(data.file)}: ${formatBytes(data.size)}, ${data.diffId}\n`;
  },
};

function isRows(data: readonly ChangeRow[] | SavedDiff): data is readonly ChangeRow[] {
  return Array.isArray(data);
}
