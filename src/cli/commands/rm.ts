/** `varve rm IMAGE...` */
import type { Command } from "../command.ts";
import { sanitize } from "../print/sanitize.ts";
import { formatBytes, plural } from "../print/units.ts";
import type { RemoveResult } from "../../transfer/images.ts";

export const rmCommand: Command<RemoveResult> = {
  arguments: [{ name: "<image...>", summary: "images of the store", completes: "image" }],
  flags: [],
  examples: ["varve rm debian:11 debian:12"],

  run: ({ args, services }) => services.removeImages(args),

  render({ untagged, deleted, disks, snapshots, freedBytes }, { quiet }) {
    if (quiet) return "";
    const names = untagged.map((name) => `untagged ${sanitize(name)}\n`).join("");
    const more = [
      [disks.length, "disk"],
      [snapshots, "snapshot"],
    ] as const;
    const also = more.map(([count, what]) => (count === 0 ? "" : ` and ${plural(count, what)}`)).join("");
    return `${names}deleted ${plural(deleted.length, "blob")}${also}, ${formatBytes(freedBytes)} freed\n`;
  },
};
