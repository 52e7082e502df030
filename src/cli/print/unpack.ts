/** What `unpack` wrote, for people. */
import type { UnpackResult } from "../../transfer/unpack.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration, plural } from "./units.ts";

export function renderUnpack(result: UnpackResult, { quiet }: View): string {
  if (quiet) return `${sanitize(result.directory)}\n`;
  const what = `${plural(result.entries, "path")} of ${plural(result.layers, "layer")}, ${formatBytes(result.bytes)}`;
  const lines = [
    `${sanitize(result.image)}: unpacked to ${sanitize(result.directory)}${result.bundle ? " (bundle)" : ""}`,
    `  digest    ${result.digest}`,
    `  written   ${what} in ${formatDuration(result.durationMs)}`,
  ];
  const skipped = Object.entries(result.skipped).filter(([, count]) => count > 0);
  if (skipped.length > 0) lines.push(`  skipped   ${skipped.map(([kind, count]) => `${count} ${kind}`).join(", ")}`);
  return lines.map((line) => `${line}\n`).join("");
}
