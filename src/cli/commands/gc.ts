/** `varve gc` */
import type { GcResult } from "../../transfer/gc.ts";
import type { Command } from "../command.ts";
import { parseDuration } from "../parse-values.ts";
import { renderGc } from "../print/gc.ts";

export const DRY_RUN = { flags: "--dry-run", summary: "only tell what would go, and change nothing" };

export const PARTIALS_OLDER_THAN = {
  flags: "--partials-older-than <duration>",
  summary:
    "remove partial data, and whole layers of pulls that were cut off, when they are older than this and no image needs them; default 7d, 0 for all that is not in use",
};

/** The flags that `gc` and `prune` share, as the use cases take them. */
export function gcOptions(flags: Readonly<Record<string, unknown>>): { dryRun: boolean; partialsOlderThanMs?: number } {
  const { partialsOlderThan } = flags;
  return {
    dryRun: flags["dryRun"] === true,
    ...(typeof partialsOlderThan === "string" && {
      partialsOlderThanMs: parseDuration("--partials-older-than", partialsOlderThan),
    }),
  };
}

export const gcCommand: Command<GcResult> = {
  arguments: [],
  flags: [PARTIALS_OLDER_THAN, DRY_RUN],
  examples: ["varve gc", "varve gc --dry-run --json", "varve gc --partials-older-than 12h"],
  showsProgress: true,

  run: async ({ flags, services }) => services.collectGarbage(gcOptions(flags)),

  render: renderGc,
};
