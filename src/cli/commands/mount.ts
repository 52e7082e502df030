/** `varve mount IMAGE DIR` */
import { resolve } from "node:path";
import type { MountResult } from "../../transfer/mount-image.ts";
import type { Command } from "../command.ts";
import { parsePath } from "../parse-values.ts";
import { sanitize } from "../print/sanitize.ts";

export const mountCommand: Command<MountResult> = {
  arguments: [
    {
      name: "<image>",
      summary: "an image of the store, or a snapshot's key",
      completes: "image or prepared snapshot",
    },
    { name: "<dir>", summary: "a directory that exists", completes: "directory" },
  ],
  flags: [
    { flags: "--rw", summary: "to be written; what is written stays apart from the image" },
    { flags: "--key <key>", summary: "name the snapshot that is made; it then stays until it is removed" },
  ],
  notes: [
    "An image that is not unpacked yet is unpacked first, from local bytes. varve umount ends the mount.",
    "What was written is kept in a snapshot: varve diff KEY shows it, varve commit KEY REF makes an image of it.",
  ],
  examples: ["varve mount debian:12 /mnt", "varve mount --rw --key work debian:12 /mnt"],
  showsProgress: true,

  run({ args, flags, settings, services }) {
    const [image = "", directory = ""] = args;
    const { key } = flags;
    return services.mountImage(image, resolve(parsePath("DIR", directory)), {
      rw: flags["rw"] === true,
      ...(typeof key === "string" && { key }),
      ...(settings.platform && { platform: settings.platform }),
    });
  },

  render({ source, directory, snapshot, driver, readOnly }, { quiet }) {
    if (quiet) return `${sanitize(snapshot)}\n`;
    const how = readOnly ? "to be read" : "to be written";
    return `mounted ${sanitize(source)} at ${sanitize(directory)} ${how} (${driver}, snapshot ${sanitize(snapshot)})\n`;
  },
};
