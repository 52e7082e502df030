/** `varve inspect IMAGE` */
import { VarveError } from "../../errors/varve-error.ts";
import type { ImageDetails } from "../../transfer/images.ts";
import type { Command } from "../command.ts";
import { formatObject } from "../print/object.ts";

export const inspectCommand: Command<ImageDetails | Uint8Array> = {
  arguments: [
    {
      name: "<image>",
      summary:
        "an image of the store, docker://HOST/NAME[:TAG], oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE",
      completes: "place",
    },
  ],
  flags: [
    { flags: "--raw", summary: "the manifest or index, byte for byte" },
    { flags: "--config", summary: "the image's config, byte for byte" },
  ],
  examples: ["varve inspect debian:12", "varve inspect --raw docker://debian:12 | sha256sum"],

  async run({ args, flags, settings, services }) {
    const [image = ""] = args;
    const raw = flags["raw"] === true;
    const config = flags["config"] === true;
    if (raw && config) throw new VarveError("USAGE", "--raw and --config do not go together");
    const options = settings.platform === undefined ? {} : { platform: settings.platform };
    if (raw || config) return services.rawDocument(image, raw ? "manifest" : "config", options);
    return services.inspectImage(image, options);
  },

  render: (data) => formatObject(data),
};
