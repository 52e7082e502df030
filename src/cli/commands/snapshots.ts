/** `varve snapshots ...`: the snapshot service, for scripts. */
import type { DriverReport } from "../../snapshot/probe.ts";
import type { Mount, Usage } from "../../snapshot/types.ts";
import type { PreparedSnapshot, SnapshotRow } from "../../transfer/manage-snapshots.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Command, Completes, View } from "../command.ts";
import { parseChoice } from "../parse-values.ts";
import { renderDrivers, renderMounts, renderPrepared, renderSnapshots, renderUsage } from "../print/snapshots.ts";
import { plural } from "../print/units.ts";

const ACTIONS = ["ls", "prepare", "view", "commit", "mounts", "usage", "rm"] as const;
type Action = (typeof ACTIONS)[number];

/** How many words each takes after its name. */
const ARGUMENTS: Readonly<Record<Action, readonly [least: number, most: number, usage: string]>> = {
  ls: [0, 0, "ls [--drivers]"],
  prepare: [1, 2, "prepare KEY [PARENT]"],
  view: [1, 2, "view KEY [PARENT]"],
  commit: [2, 2, "commit NAME KEY [--parent NAME]"],
  mounts: [1, 1, "mounts KEY"],
  rm: [1, Number.POSITIVE_INFINITY, "rm KEY..."],
  usage: [1, 1, "usage KEY"],
};

/** What the word after these may be; the first of them is the action. */
function wordOf([action = "", ...words]: readonly string[]): Completes {
  switch (action) {
    case "prepare":
    case "view":
      return words.length === 1 ? "image or snapshot" : "nothing";
    case "commit":
      return words.length === 1 ? "active snapshot" : "nothing";
    case "mounts":
      return words.length === 0 ? "prepared snapshot" : "nothing";
    case "usage":
      return words.length === 0 ? "snapshot" : "nothing";
    case "rm":
      return "snapshot";
    default:
      return "nothing";
  }
}

type UsageRow = Usage & { readonly key: string };

type Data =
  | readonly SnapshotRow[]
  | readonly DriverReport[]
  | readonly Mount[]
  | readonly string[]
  | PreparedSnapshot
  | SnapshotRow
  | UsageRow;

export const snapshotsCommand: Command<Data> = {
  arguments: [
    { name: "<action>", summary: "what to do", choices: ACTIONS },
    { name: "[word...]", summary: "keys and names; a parent may be an image of the store", completes: wordOf },
  ],
  flags: [
    { flags: "--drivers", summary: "with ls: which drivers work in this store, and why others do not" },
    { flags: "--parent <name>", summary: "with commit: bind it to this parent, when it has none yet" },
  ],
  notes: [
    `${Object.values(ARGUMENTS)
      .map(([, , usage]) => usage)
      .join("; ")}.`,
    "An active snapshot is written, a view is read; a committed one has a name, never changes, and is what others stand on. mounts prints what there is to mount, as mount(8) takes it; varve mount KEY DIR does it, also where mount(8) cannot mount EROFS from files.",
  ],
  examples: ["varve snapshots ls --drivers", "varve snapshots prepare work debian:12 && varve mount --rw work /mnt"],
  showsProgress: true,

  async run({ args, flags, settings, services }) {
    const [given = "", ...words] = args;
    const action = parseChoice("ACTION", given, ACTIONS);
    const [least, most, usage] = ARGUMENTS[action];
    if (words.length < least || words.length > most) {
      throw new VarveError("USAGE", `write it as: varve snapshots ${usage}`, { hint: "see varve snapshots --help" });
    }
    const [first = "", second = ""] = words;
    const parent = flags["parent"] as string | undefined;
    switch (action) {
      case "ls":
        return flags["drivers"] === true ? services.listDrivers() : services.listSnapshots();
      case "prepare":
      case "view":
        return services.prepareSnapshot(first, words[1], {
          view: action === "view",
          ...(settings.platform && { platform: settings.platform }),
        });
      case "commit":
        return services.commitSnapshot(first, second, parent === undefined ? {} : { parent });
      case "mounts":
        return services.snapshotMounts(first);
      case "usage":
        return services.snapshotUsage(first);
      case "rm":
        return services.removeSnapshots(words);
    }
  },

  render(data, view) {
    if (isMany(data)) return renderMany(data, view);
    if ("mounts" in data) return renderPrepared(data, view);
    return "kind" in data ? renderSnapshots([data], view) : renderUsage(data);
  },
};

type Many = Extract<Data, readonly unknown[]>;

function isMany(data: Data): data is Many {
  return Array.isArray(data);
}

function renderMany(data: Many, view: View): string {
  const [first] = data;
  if (first === undefined) return renderSnapshots([], view);
  if (typeof first === "string") return view.quiet ? "" : `removed ${plural(data.length, "snapshot")}\n`;
  if ("usable" in first) return renderDrivers(data as readonly DriverReport[]);
  return "source" in first
    ? renderMounts(data as readonly Mount[])
    : renderSnapshots(data as readonly SnapshotRow[], view);
}
