/** `varve umount DIR` */
import { resolve } from "node:path";
import type { UnmountResult } from "../../transfer/mount-image.ts";
import type { Command } from "../command.ts";
import { parsePath } from "../parse-values.ts";
import { sanitize } from "../print/sanitize.ts";

export const umountCommand: Command<UnmountResult> = {
  arguments: [{ name: "<dir>", summary: "where varve mount has mounted something", completes: "directory" }],
  flags: [],
  notes: [
    "What was written there is kept in its snapshot; a snapshot that nobody named and nothing was written to goes.",
  ],
  examples: ["varve umount /mnt"],

  run: ({ args, services }) => services.unmountImage(resolve(parsePath("DIR", args[0] ?? ""))),

  render({ directory, snapshot, kept }, { quiet }) {
    if (quiet) return kept ? `${sanitize(snapshot)}\n` : "";
    const line = `unmounted ${sanitize(directory)}\n`;
    if (!kept) return line;
    const key = sanitize(snapshot);
    return `${line}the snapshot ${key} is kept; varve commit ${key} REF makes an image of it, varve snapshots rm ${key} removes it\n`;
  },
};
