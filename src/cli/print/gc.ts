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
export function gcLines(result: GcResult): string {
  const { blobs, disks, partials, partialDisks, snapshots, layers, folders, freedBytes, dryRun } = result;
  const verb = dryRun ? "would remove" : "removed";
  const large = (what: string, { count, bytes }: GcResult["blobs"]): string =>
    `${plural(count, what)} (${formatBytes(bytes)})`;
  const unpacked = { count: snapshots.count + folders.count, bytes: snapshots.bytes + folders.bytes };
  const parts = [
    large("blob", blobs),
    large("partial blob", partials),
    ...(disks.count > 0 ? [large("disk", disks)] : []),
    ...(partialDisks.count > 0 ? [large("partial disk", partialDisks)] : []),
    ...(unpacked.count > 0 ? [large("snapshot", unpacked)] : []),
    ...(layers.count > 0 ? [large("unpacked layer", layers)] : []),
  ];
  const small = [
    [result.records, "layer record"],
    [result.leases, "expired lease"],
    [result.locks, "stale lock file"],
    [result.temporary, "temporary file"],
  ] as const;
  const rest = small.filter(([count]) => count > 0).map(([count, what]) => plural(count, what));
  const also = rest.length === 0 ? "" : `${verb} ${rest.join(", ")}\n`;
  return `${verb} ${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}\n${also}${formatBytes(freedBytes)} ${dryRun ? "would be freed" : "freed"}\n`;
}
