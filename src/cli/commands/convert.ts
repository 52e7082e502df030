/** `varve convert IMAGE REF --compression HOW` */
import { COMPRESSION_LEVELS, LAYER_COMPRESSIONS } from "../../codec/layer-compressions.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { ConvertResult } from "../../transfer/convert.ts";
import type { Command } from "../command.ts";
import { copyFlags } from "../copy-flags.ts";
import { refuseTwoRegistries } from "../one-registry.ts";
import { parseChoice, parseCount } from "../parse-values.ts";
import { renderConvert } from "../print/convert.ts";

const LEVELS = LAYER_COMPRESSIONS.map((name) => {
  const { least, most, usual } = COMPRESSION_LEVELS[name];
  return `${name} ${least} to ${most}, default ${usual}`;
}).join("; ");

export const convertCommand: Command<ConvertResult> = {
  arguments: [
    {
      name: "<image>",
      summary: "an image of the store, or docker://, oci:, oci-archive: or docker-archive: and one there",
      completes: "place",
    },
    {
      name: "<ref>",
      summary:
        "a name for the new image in the store, docker://HOST/NAME[:TAG], oci:DIR[:TAG] or oci-archive:FILE[:TAG]",
      completes: "place",
    },
  ],
  flags: [
    { flags: "--compression <how>", summary: "how its layers are to be compressed", choices: LAYER_COMPRESSIONS },
    { flags: "--level <n>", summary: `how hard to compress: ${LEVELS}` },
    { flags: "--all", summary: "all platforms of an index, not just one" },
    {
      flags: "--chunk-size <bytes>",
      summary: "bytes per request of an upload, with suffix k, M or G; default: a blob in one request",
    },
  ],
  notes: [
    "The tars within the layers, the config and so the image's ID stay what they are; digests of layers and manifest change. Layers that " +
      "are compressed as asked for stay as they are.",
    "Later versions of an image whose layers are zstd:chunked cost only what changed in them.",
  ],
  examples: [
    "varve convert app:v1 app:chunked --compression zstd:chunked",
    "varve convert --all docker://ghcr.io/org/app:v1 docker://registry.example/app:v1 --compression zstd:chunked",
    "varve convert app:v1 oci:app:v1 --compression zstd --level 12",
  ],
  showsProgress: true,
  keepsProgress: "at its destination",

  run({ args, flags, settings, services }) {
    const [image = "", to = ""] = args;
    refuseTwoRegistries(settings, image, to);
    const { compression: how, level } = flags;
    if (typeof how !== "string") {
      throw new VarveError("USAGE", "--compression is missing", { hint: `one of ${LAYER_COMPRESSIONS.join(", ")}` });
    }
    const compression = parseChoice("--compression", how, LAYER_COMPRESSIONS);
    const { least, most } = COMPRESSION_LEVELS[compression];
    return services.convertImage(image, to, {
      ...copyFlags(flags, settings),
      compression,
      ...(typeof level === "string" && { level: parseCount("--level", level, least, most) }),
    });
  },

  render: renderConvert,
};
