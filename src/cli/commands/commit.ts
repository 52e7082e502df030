/** `varve commit KEY REF` */
import { COMPRESSIONS } from "../../codec/compress.ts";
import type { CommitOptions, CommitResult } from "../../transfer/commit-image.ts";
import type { Command } from "../command.ts";
import { parseChoice, parseEpoch } from "../parse-values.ts";
import { renderCommit } from "../print/commit.ts";

export const commitCommand: Command<CommitResult> = {
  arguments: [
    { name: "<key>", summary: "an active snapshot", completes: "active snapshot" },
    { name: "<ref>", summary: "the new image's name", completes: "image" },
  ],
  flags: [
    { flags: "-m, --message <text>", summary: "a comment in the image's history" },
    { flags: "-a, --author <name>", summary: "who made it; default: the author of the image that it is made from" },
    { flags: "--compression <kind>", summary: "of the new layer; default gzip", choices: COMPRESSIONS },
  ],
  notes: [
    "What was written to the snapshot becomes a layer on top of the image that the snapshot was made from; the snapshot stays as it is. Stop what writes there first.",
    "The image is from SOURCE_DATE_EPOCH, where the environment has it, and no file in the new layer is later: the same changes then always give the same image.",
  ],
  examples: [
    "varve commit work registry.example/app:2 -m 'add the tools'",
    "varve commit work app:2 --compression zstd",
  ],

  run({ args, flags, settings, services }) {
    const [key = "", reference = ""] = args;
    const text = (name: string): string | undefined => flags[name] as string | undefined;
    const [message, author, compression] = [text("message"), text("author"), text("compression")];
    const options: CommitOptions = {
      ...(message !== undefined && { message }),
      ...(author !== undefined && { author }),
      ...(compression !== undefined && { compression: parseChoice("--compression", compression, COMPRESSIONS) }),
      ...parseEpoch(settings.sourceDateEpoch),
    };
    return services.commitImage(key, reference, options);
  },

  render: renderCommit,
};
