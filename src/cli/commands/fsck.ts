/** `varve fsck [IMAGE...]` */
import { ERROR_TABLE } from "../../errors/table.ts";
import type { StoreReport } from "../../transfer/fsck.ts";
import type { Command } from "../command.ts";
import { renderReport } from "../print/fsck.ts";

export const fsckCommand: Command<StoreReport> = {
  arguments: [{ name: "[image...]", summary: "only these images and what they need", completes: "image" }],
  flags: [
    {
      flags: "--repair",
      summary:
        "mend what can be mended: metadata from what is there, content from the registries that the images came from",
    },
  ],
  notes: [
    "Every blob is read and hashed, every layer unpacked to nowhere and held to its DiffID, every disk of a machine held to the digests of its chunks.",
    "Exit code 0: sound, or all that was wrong is mended; 5: something is wrong. Leftovers, which varve gc removes, are told and are nothing wrong.",
  ],
  examples: ["varve fsck", "varve fsck --repair", "varve fsck --json debian:12"],
  showsProgress: true,

  run: ({ args, flags, settings, services }) =>
    services.checkStore({
      images: args,
      repair: flags["repair"] === true,
      ...(settings.concurrency !== undefined && { concurrency: settings.concurrency }),
    }),

  exitCode: ({ sound }) => (sound ? 0 : ERROR_TABLE.DIGEST_MISMATCH.exit),

  render: renderReport,
};
