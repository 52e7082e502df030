/** `varve prune` */
import type { PruneResult } from "../../transfer/prune.ts";
import type { Command } from "../command.ts";
import { parseDuration, parseSize } from "../parse-values.ts";
import { renderPrune } from "../print/prune.ts";
import { DRY_RUN, gcOptions, PARTIALS_OLDER_THAN } from "./gc.ts";

export const pruneCommand: Command<PruneResult> = {
  arguments: [],
  flags: [
    {
      flags: "--older-than <duration>",
      summary: "take out images that no pull has brought or found up to date for so long, as 12h, 7d or 2w",
    },
    {
      flags: "--keep-storage <bytes>",
      summary:
        "take out the least recently used images until the store takes no more than this, as 10GB or 20GiB; with --older-than only images that old",
    },
    {
      flags: "--filter <pattern>",
      summary:
        "only images whose full name it matches, as ghcr.io/ci/*; * stops at slashes, ** does not; without a slash it is held against the last part, as app:pr-*",
    },
    PARTIALS_OLDER_THAN,
    DRY_RUN,
  ],
  notes: [
    "The newest image of each repository always stays, and so does every image that another one which stays is built on.",
    "Without --older-than and --keep-storage no image goes, and it does what gc does. It never asks.",
  ],
  examples: [
    "varve prune --older-than 30d",
    "varve prune --keep-storage 20GB --dry-run",
    "varve prune --older-than 1d --filter 'ghcr.io/ci/**:pr-*'",
  ],
  showsProgress: true,

  run: async ({ flags, services, logger }) => {
    const { olderThan, keepStorage, filter } = flags;
    const result = await services.prune({
      ...gcOptions(flags),
      ...(typeof olderThan === "string" && { olderThanMs: parseDuration("--older-than", olderThan) }),
      ...(typeof keepStorage === "string" && { keepBytes: parseSize("--keep-storage", keepStorage) }),
      ...(typeof filter === "string" && { filter }),
    });
    if (result.smallEnough === false) logger.warn("the store stays larger than was asked for: nothing else may go");
    return result;
  },

  render: renderPrune,
};
