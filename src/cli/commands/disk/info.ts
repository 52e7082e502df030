/** `varve disk info IMAGE|DIR|FILE` */
import type { DiskInformation } from "../../../transfer/disks/info.ts";
import { parsePath } from "../../parse-values.ts";
import { renderDiskInfo } from "../../print/disk-info.ts";
import type { Action } from "../actions/action.ts";

export const infoAction: Action<DiskInformation> = {
  name: "info",
  usage: "info IMAGE|DIR|FILE",
  words: [1, 1],
  completes: (words) => (words.length === 0 ? "image" : "nothing"),
  flags: [],
  notes: [
    "info tells what a machine and its disks are and take. An image of the store wins over a file of its name; ./NAME is always a file.",
  ],
  examples: ["varve disk info ghcr.io/org/vm:1", "varve disk info --json ./vm.img"],

  run: ({ args, services }) => services.diskInformation(parsePath("IMAGE|DIR|FILE", args[0] ?? "")),

  render: renderDiskInfo,
};
