/** What `copy`, `push` and `convert` moved, for people. */
import type { CopyResult } from "../../transfer/copy.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration, plural } from "./units.ts";

/** With `quiet` only the digest. */
export function renderCopy(result: CopyResult, { quiet }: View, verb: "copied" | "pushed" | "converted"): string {
  const { source, digest, status, durationMs } = result;
  const destination = result.destination.replace(/^docker:\/\//, "");
  if (quiet) return `${digest}\n`;
  const title =
    status === "up-to-date"
      ? `${sanitize(source)}: ${sanitize(destination)} is up to date`
      : `${sanitize(source)}: ${verb} to ${sanitize(destination)}`;
  const moved = status === "up-to-date" ? "nothing" : partsOf(result).join(", ");
  return [`${title}\n`, `  digest    ${digest}\n`, `  moved     ${moved}, in ${formatDuration(durationMs)}\n`].join("");
}

function partsOf({ blobs, bytes, retries }: CopyResult): string[] {
  return [
    `${plural(blobs.copied, "blob")}, ${formatBytes(bytes.copied)}`,
    ...(blobs.mounted === 0 ? [] : [`${blobs.mounted} taken from beside it`]),
    ...(blobs.present === 0 ? [] : [`${blobs.present} were there`]),
    ...(retries === 0 ? [] : [`retried ${plural(retries, "time")}`]),
  ];
}
