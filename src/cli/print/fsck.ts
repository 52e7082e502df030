/** What a check of the store found, for people. */
import type { Finding, StoreReport } from "../../transfer/fsck.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatBytes, formatDuration, plural } from "./units.ts";

/** Leftovers of one kind beyond this are only counted, unless all is asked for. */
const MOST_NOTES = 3;

/** With `quiet` only what is wrong and not mended. */
export function renderReport({ findings, checked, durationMs, sound }: StoreReport, { quiet, verbose }: View): string {
  const errors = findings.filter(({ severity }) => severity === "error");
  const open = errors.filter(({ repaired }) => repaired !== true);
  if (quiet) return lines(open);
  const notes = findings.filter(({ severity }) => severity === "note");
  const { images, blobs, bytes, layers, disks } = checked;
  const parts = [plural(images, "image"), `${plural(blobs, "blob")} (${formatBytes(bytes)})`, plural(layers, "layer")];
  if (disks > 0) parts.push(plural(disks, "disk"));
  const mended = errors.length - open.length;
  const verdict = sound
    ? mended > 0
      ? `sound: ${plural(mended, "fault")} mended`
      : "sound"
    : `${plural(open.length, "fault")} ${mended > 0 ? `left, ${mended} mended` : "found"}`;
  return `${lines(errors)}${noteLines(notes, verbose)}checked ${parts.join(", ")} in ${formatDuration(durationMs)}\n${verdict}\n`;
}

function lines(findings: readonly Finding[]): string {
  return findings.map((finding) => `${line(finding)}\n`).join("");
}

function line({ kind, message, path, digest, severity, repaired }: Finding): string {
  const where = digest === undefined && path !== undefined ? ` (${sanitize(path)})` : "";
  const state = repaired === true ? "mended" : severity;
  return `${state}: ${kind}: ${sanitize(message)}${where}`;
}

function noteLines(notes: readonly Finding[], verbose: boolean): string {
  const kinds = Map.groupBy(notes, ({ kind }) => kind);
  return [...kinds]
    .map(([kind, all]) => {
      const shown = verbose ? all : all.slice(0, MOST_NOTES);
      const more = all.length - shown.length;
      return lines(shown) + (more > 0 ? `note: ${kind}: ${more} more\n` : "");
    })
    .join("");
}
