/** `varve copy SRC DST` */
import type { CopyResult } from "../../transfer/copy.ts";
import type { Command } from "../command.ts";
import { renderCopy } from "../print/copy.ts";

const FILES = "oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]";

export const copyCommand: Command<CopyResult> = {
  arguments: [
    { name: "<src>", summary: `an image of the store, docker://HOST/NAME[:TAG], ${FILES}`, completes: "place" },
    { name: "<dst>", summary: `a name for it in the store, ${FILES}`, completes: "place" },
  ],
  flags: [{ flags: "--all", summary: "all platforms of an index, not just one" }],
  examples: [
    "varve copy docker://alpine:3.20 oci:alpine:3.20",
    "varve copy --all oci-archive:app.tar app:v1",
    "varve copy debian:12 docker-archive:debian.tar:debian:12",
  ],
  showsProgress: true,

  run({ args, flags, settings, services }) {
    const [source = "", destination = ""] = args;
    return services.copyImage(source, destination, {
      all: flags["all"] === true,
      ...(settings.platform && { platform: settings.platform }),
      ...(settings.concurrency !== undefined && { concurrency: settings.concurrency }),
    });
  },

  render: renderCopy,
};
