/** What was exported of a machine, for people. */
import type { ExportResult } from "../../transfer/disks/export.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration } from "./units.ts";

/** With `quiet` only where it is. */
export function renderExport(result: ExportResult, { quiet }: View): string {
  const { image, target, files, logicalBytes, allocatedBytes, reflinkedBytes, verified, durationMs } = result;
  if (quiet) return `${sanitize(target)}\n`;
  const names = files.map(({ name, size }) => `${sanitize(name)} ${formatBytes(size)}`).join(", ");
  const takes = allocatedBytes === null ? "" : `, takes ${formatBytes(allocatedBytes)}`;
  const shared = reflinkedBytes === 0 ? "" : `, ${formatBytes(reflinkedBytes)} shared with the store`;
  return [
    `${sanitize(image)}: exported to ${sanitize(target)}${verified ? ", compared" : ""}`,
    `  files     ${names}`,
    `  disks     ${formatBytes(logicalBytes)}${takes}${shared} in ${formatDuration(durationMs)}`,
  ]
    .map((line) => `${line}\n`)
    .join("");
}
