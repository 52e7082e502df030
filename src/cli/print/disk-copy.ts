/** What a copied disk takes, for people. */
import type { DiskCopy } from "../../disk/copy-report.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration } from "./units.ts";

/** With `quiet` only the bytes that the copy takes, if it is a file. */
export function renderDiskCopy(copy: DiskCopy, { quiet }: View): string {
  const { logicalBytes, allocatedBytes, copiedBytes, reflinkedBytes, unchangedBytes, holeBytes } = copy;
  if (quiet) return allocatedBytes === null ? "" : `${allocatedBytes}\n`;
  const took = formatDuration(copy.durationMs);
  const parts: readonly (readonly [bytes: number, what: string])[] = [
    [copiedBytes, "copied"],
    [reflinkedBytes, "shared"],
    [unchangedBytes, "there already"],
    [holeBytes, "holes"],
  ];
  const shown = parts.filter(([bytes]) => bytes > 0).map(([bytes, what]) => `${formatBytes(bytes)} ${what}`);
  const takes = allocatedBytes === null ? "" : `, takes ${formatBytes(allocatedBytes)}`;
  const source = `${formatBytes(copy.sourceAllocatedBytes)} at the source`;
  return [
    `${sanitize(copy.source)}: copied to ${sanitize(copy.target)}${copy.verified ? ", compared" : ""}`,
    `  length    ${formatBytes(logicalBytes)}${takes} (${source})`,
    `  content   ${shown.length === 0 ? "none" : shown.join(", ")} in ${took}`,
  ]
    .map((line) => `${line}\n`)
    .join("");
}
