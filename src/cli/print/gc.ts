/** What was collected, for people. */
import type { GcResult } from "../../transfer/gc.ts";
import type { View } from "../command.ts";
import { formatBytes, plural } from "./units.ts";

/** With `quiet` only the bytes that were freed. */
export function renderGc(result: GcResult, { quiet }: View): string {
  if (quiet) return `${result.freedBytes}\n`;
  return gcLines(result);
}

/** One line for what went, one more where there were things that take no space worth mentioning. */
export function gcLines({ blobs, partials, records, leases, locks, temporary, freedBytes, dryRun }: GcResult): string {
  const verb = dryRun ? "would remove" : "removed";
  const parts = [
    `${plural(blobs.count, "blob")} (${formatBytes(blobs.bytes)})`,
    `${plural(partials.count, "partial blob")} (${formatBytes(partials.bytes)})`,
  ];
  const small = [
    [records, "layer record"],
    [leases, "expired lease"],
    [locks, "stale lock file"],
    [temporary, "temporary file"],
  ] as const;
  const rest = small.filter(([count]) => count > 0).map(([count, what]) => plural(count, what));
  const also = rest.length === 0 ? "" : `${verb} ${rest.join(", ")}\n`;
  return `${verb} ${parts.join(" and ")}\n${also}${formatBytes(freedBytes)} ${dryRun ? "would be freed" : "freed"}\n`;
}
