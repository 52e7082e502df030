/** `varve copy SRC DST` */
import type { CopyResult } from "../../transfer/copy.ts";
import type { Command } from "../command.ts";
import { copyFlags } from "../copy-flags.ts";
import { refuseTwoRegistries } from "../one-registry.ts";
import { renderCopy } from "../print/copy.ts";

const FILES = "oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker-archive:FILE[:TAG]";

export const copyCommand: Command<CopyResult> = {
  arguments: [
    { name: "<src>", summary: `an image of the store, docker://HOST/NAME[:TAG], ${FILES}`, completes: "place" },
    { name: "<dst>", summary: `a name for it in the store, docker://HOST/NAME[:TAG], ${FILES}`, completes: "place" },
  ],
  flags: [
    { flags: "--all", summary: "all platforms of an index, not just one" },
    { flags: "--referrers", summary: "also what refers to it: signatures, inventories, and what refers to these" },
    {
      flags: "--chunk-size <bytes>",
      summary: "bytes per request of an upload, with suffix k, M or G; default: a blob in one request",
    },
  ],
  notes: ["Digests stay what they are. Between two registries nothing is kept on this machine."],
  examples: [
    "varve copy docker://alpine:3.20 oci:alpine:3.20",
    "varve copy --all --referrers docker://ghcr.io/org/app:v1 docker://registry.example/app:v1",
    "varve copy --all oci-archive:app.tar app:v1",
    "varve copy debian:12 docker-archive:debian.tar:debian:12",
  ],
  showsProgress: true,
  keepsProgress: "at its destination",

  run({ args, flags, settings, services }) {
    const [source = "", destination = ""] = args;
    refuseTwoRegistries(settings, source, destination);
    return services.copyImage(source, destination, copyFlags(flags, settings));
  },

  render: (result, view) => renderCopy(result, view, "copied"),
};
