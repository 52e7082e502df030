/** What `copy` moved, for people. */
import type { CopyResult } from "../../transfer/copy.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration, plural } from "./units.ts";

export function renderCopy(result: CopyResult, { quiet }: View): string {
  const { source, destination, digest, blobs, bytes, durationMs } = result;
  if (quiet) return `${digest}\n`;
  const present = blobs.present === 0 ? "" : `, ${blobs.present} were there`;
  return [
    `${sanitize(source)}: copied to ${sanitize(destination)}\n`,
    `  digest    ${digest}\n`,
    `  moved     ${plural(blobs.copied, "blob")}, ${formatBytes(bytes)}${present}, in ${formatDuration(durationMs)}\n`,
  ].join("");
}
