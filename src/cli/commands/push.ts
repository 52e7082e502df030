/** `varve push IMAGE [REF]` */
import { writeFile } from "node:fs/promises";
import { LAYER_COMPRESSIONS } from "../../codec/layer-compressions.ts";
import { toVarveError } from "../../errors/from-system.ts";
import type { PushResult } from "../../transfer/push.ts";
import type { Command } from "../command.ts";
import { copyFlags } from "../copy-flags.ts";
import { refuseTwoRegistries } from "../one-registry.ts";
import { parseChoice, parsePath } from "../parse-values.ts";
import { renderCopy } from "../print/copy.ts";

const COMPRESSIONS = ["keep", ...LAYER_COMPRESSIONS] as const;

export const pushCommand: Command<PushResult> = {
  arguments: [
    {
      name: "<image>",
      summary: "an image of the store, oci:DIR[:TAG], oci-archive:FILE or docker-archive:FILE",
      completes: "place",
    },
    { name: "[ref]", summary: "what it is to be called there; default: the image's own name", completes: "image" },
  ],
  flags: [
    {
      flags: "--compression <how>",
      summary: "compress its layers this way; the image's ID stays, its digest changes; default keep",
      choices: COMPRESSIONS,
    },
    { flags: "--all", summary: "all platforms of an index, not just the one that was pulled" },
    { flags: "--referrers", summary: "also what refers to it: signatures, inventories, and what refers to these" },
    {
      flags: "--no-chunk-index",
      summary: "a machine's image without the index of its chunks, which spares pulls bytes",
    },
    {
      flags: "--chunk-size <bytes>",
      summary: "bytes per request of an upload, with suffix k, M or G; default: a blob in one request",
    },
    { flags: "--digestfile <file>", summary: "write the digest of what was pushed to a file", completes: "file" },
  ],
  notes: [
    "Of what is there already nothing is sent. Blobs that other repositories of the registry have, as far as the store's images tell, are taken from there; those that were given up (varve pull --discard-blobs) pass through from where they came.",
  ],
  examples: [
    "varve push registry.example/team/app:v2",
    "varve push debian:12 registry.example/mirror/debian:12",
    "varve push --all --digestfile app.digest oci:build:v2 registry.example/team/app:v2",
  ],
  showsProgress: true,
  keepsProgress: "at its destination",

  async run({ args, flags, settings, services }) {
    const [image = "", to] = args;
    if (to !== undefined) refuseTwoRegistries(settings, image, to.startsWith("docker://") ? to : `docker://${to}`);
    const { digestfile } = flags;
    const file = typeof digestfile === "string" ? parsePath("--digestfile", digestfile) : undefined;
    const { compression = "keep" } = flags;
    const result = await services.pushImage(image, {
      ...copyFlags(flags, settings),
      ...(flags["chunkIndex"] === false && { chunkIndex: false }),
      compression: parseChoice("--compression", String(compression), COMPRESSIONS),
      ...(to !== undefined && { to }),
    });
    if (file !== undefined) await writeDigest(file, result.digest);
    return result;
  },

  render: (result, view) => renderCopy(result, view, "pushed"),
};

/** Without a line's end, as other tools write it. @throws VarveError `PERMISSION`, `FILE_NOT_FOUND`, `IO` */
async function writeDigest(file: string, digest: string): Promise<void> {
  try {
    await writeFile(file, digest);
  } catch (error) {
    throw toVarveError(error, `writing ${file}, after the image was pushed`);
  }
}
