/** What a cloned machine is, for people. */
import type { CloneResult } from "../../transfer/disks/clone.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration } from "./units.ts";

/** With `quiet` only where it is. */
export function renderClone(result: CloneResult, { quiet }: View): string {
  const { source, target, macAddress, newMac, logicalBytes, allocatedBytes, reflinkedBytes } = result;
  if (quiet) return `${sanitize(target)}\n`;
  const takes = allocatedBytes === null ? "" : `, takes ${formatBytes(allocatedBytes)}`;
  const shared = reflinkedBytes === 0 ? "" : `, ${formatBytes(reflinkedBytes)} shared`;
  const address = macAddress === null ? "none" : `${sanitize(macAddress)}${newMac ? "" : ", the same"}`;
  return [
    `${sanitize(source)}: cloned to ${sanitize(target)}${result.verified ? ", compared" : ""}`,
    `  address   ${address}`,
    `  disks     ${formatBytes(logicalBytes)}${takes}${shared} in ${formatDuration(result.durationMs)}`,
  ]
    .map((line) => `${line}\n`)
    .join("");
}
