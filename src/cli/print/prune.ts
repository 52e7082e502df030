/** What was pruned, for people. */
import type { PruneResult } from "../../transfer/prune.ts";
import type { View } from "../command.ts";
import { gcLines } from "./gc.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes } from "./units.ts";

const BECAUSE: Readonly<Record<PruneResult["kept"][number]["reason"], string>> = {
  newest: "the newest of its repository",
  filter: "not meant by the filter",
  recent: "used recently",
  base: "other images are built on it",
  "small-enough": "the store is small enough",
};

/** With `verbose` also why the other images stay; with `quiet` only the names that went. */
export function renderPrune(
  { removed, kept, collected, totalBytes, freedBytes, dryRun }: PruneResult,
  view: View,
): string {
  const names = removed.map(({ name }) => sanitize(name));
  if (view.quiet) return names.map((name) => `${name}\n`).join("");
  const went = names.map((name) => `${dryRun ? "would untag" : "untagged"} ${name}\n`).join("");
  const stay = view.verbose
    ? kept.map(({ name, reason }) => `kept ${sanitize(name)}: ${BECAUSE[reason]}\n`).join("")
    : "";
  const total = dryRun
    ? `${formatBytes(freedBytes)} would be freed in all, ${formatBytes(totalBytes)} would stay\n`
    : `${formatBytes(totalBytes)} in the store\n`;
  return went + stay + gcLines(collected) + total;
}
