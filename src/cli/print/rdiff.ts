/** What `varve rdiff` has written, for people. */
import { STANDARD_STREAM } from "../../delta/rdiff/options.ts";
import type { RdiffResult } from "../../delta/rdiff/results.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration, percent, plural } from "./units.ts";

/** With `quiet` only the bytes that were written; nothing where the file itself went to standard output. */
export function renderRdiff(result: RdiffResult, { quiet }: View): string {
  if (result.output === STANDARD_STREAM) return "";
  if (quiet) return `${result.bytes}\n`;
  const written = `${sanitize(result.output)}: ${formatBytes(result.bytes)}`;
  return `${written}, ${about(result)}, in ${formatDuration(result.durationMs)}\n`;
}

function about(result: RdiffResult): string {
  switch (result.action) {
    case "signature":
      return `${plural(result.blocks, "block")} of ${formatBytes(result.blockBytes)}`;
    case "delta":
    case "diff": {
      const { targetBytes, copiedBytes, literalBytes, bytes } = result;
      const share = targetBytes === 0 ? "" : `, ${percent(bytes, targetBytes)} of what it makes`;
      return `${formatBytes(copiedBytes)} copied and ${formatBytes(literalBytes)} new${share}`;
    }
    case "patch":
      return `made with a delta of ${formatBytes(result.deltaBytes)}`;
  }
}
