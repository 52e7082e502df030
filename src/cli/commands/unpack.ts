/** `varve unpack IMAGE DIR` */
import { resolve } from "node:path";
import type { UnpackResult } from "../../transfer/unpack.ts";
import type { Command } from "../command.ts";
import { parsePath } from "../parse-values.ts";
import { renderUnpack } from "../print/unpack.ts";

export const unpackCommand: Command<UnpackResult> = {
  arguments: [
    {
      name: "<image>",
      summary: "an image of the store, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE",
      completes: "place",
    },
    { name: "<dir>", summary: "empty, or made", completes: "directory" },
  ],
  flags: [{ flags: "--bundle", summary: "an OCI runtime bundle: config.json beside rootfs/" }],
  examples: ["varve unpack debian:12 rootfs", "varve unpack --bundle debian:12 box && runc run -b box box"],
  showsProgress: true,

  async run({ args, flags, settings, services, logger }) {
    const [image = "", directory = ""] = args;
    const result = await services.unpack(image, resolve(parsePath("DIR", directory)), {
      bundle: flags["bundle"] === true,
      ...(settings.platform && { platform: settings.platform }),
    });
    for (const warning of result.warnings) logger.warn(warning);
    return result;
  },

  render: renderUnpack,
};
