/** What a delta is and does, for people. */
import type { DeltaDetails, DeltaEnd, InspectedLayer } from "../../transfer/deltas/inspect-types.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatTable } from "./table.ts";
import { formatBytes, percent, shortDigest } from "./units.ts";

/** With `quiet` only the digest of the target's config, or of its manifest where that is all that is known. */
export function renderDeltaDetails(details: DeltaDetails, { quiet }: View): string {
  const { name, kind, digest, base, target, isApplicable, layers, bytes, deltaBlobBytes } = details;
  if (quiet) return `${target.imageId ?? target.manifest ?? ""}\n`;
  const lines = [
    `${sanitize(name)}: ${kind === "image" ? "a delta image" : "a list of deltas"}\n`,
    `  digest    ${digest}\n`,
    `  base      ${endOf(base, base.diffIds?.at(-1) ?? null)}\n`,
    `  target    ${endOf(target, target.manifest)}\n`,
    `  applies   ${isApplicable ? "yes, all that it is taken from is here" : "no, not all that it is taken from is here"}\n`,
    `  makes     ${formatBytes(bytes)} of ${formatBytes(deltaBlobBytes)}\n`,
  ];
  const table = formatTable<InspectedLayer>(
    [
      { title: "LAYER", value: ({ diffId }) => shortDigest(diffId) },
      { title: "HOW", value: ({ how }) => how },
      { title: "SIZE", value: ({ bytes }) => (bytes === null ? "" : formatBytes(bytes)), align: "right" },
      { title: "COPIED", value: copied, align: "right" },
      {
        title: "NEW",
        value: (layer) => (layer.how === "common" ? "" : formatBytes(layer.literalBytes)),
        align: "right",
      },
      { title: "DELTA SIZE", value: ({ deltaBlobBytes }) => formatBytes(deltaBlobBytes), align: "right" },
      { title: "BASE", value: ({ isBaseHere }) => (isBaseHere ? "here" : "missing") },
    ],
    layers,
  );
  return `${lines.join("")}\n${table}`;
}

function endOf({ imageId, names }: DeltaEnd, other: string | null): string {
  const digest = imageId ?? other ?? "unknown";
  return names.length === 0 ? digest : `${digest}, here as ${names.map(sanitize).join(", ")}`;
}

function copied({ how, bytes, copiedBytes, addedBytes }: InspectedLayer): string {
  return how === "common" || bytes === null ? "" : percent(copiedBytes + addedBytes, bytes);
}
