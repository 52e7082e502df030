/** What an imported disk has become, for people. */
import type { ImportResult } from "../../transfer/disks/import-disk.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration, plural } from "./units.ts";

/** With `quiet` only the image's digest. */
export function renderImport(imported: ImportResult, { quiet }: View): string {
  const { image, digest, disk, chunks, format, os, architecture } = imported;
  if (quiet) return `${digest}\n`;
  const distinct = chunks.distinct === chunks.count ? "" : `, ${chunks.distinct} different`;
  const holes = chunks.holes === 0 ? "" : `, ${chunks.holes} of holes`;
  const reused = chunks.reused === 0 ? "" : `, ${chunks.reused} of the base`;
  const blobs = `${formatBytes(chunks.blobBytes)} of blobs ${chunks.how}`;
  return [
    `${sanitize(imported.source)}: imported as ${sanitize(image)} in ${formatDuration(imported.durationMs)}`,
    `  digest    ${digest}`,
    `  machine   ${os}/${architecture}, from ${format}`,
    `  disk      ${formatBytes(disk.size)} long, takes ${formatBytes(disk.allocatedBytes)}`,
    `  chunks    ${plural(chunks.count, "chunk")}${distinct}${holes}${reused}, ${blobs}`,
  ]
    .map((line) => `${line}\n`)
    .join("");
}
