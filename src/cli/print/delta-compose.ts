/** What `varve delta compose` has made, for people. */
import type { ComposedLayerResult, DeltaComposed } from "../../transfer/deltas/compose/compose-types.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatTable } from "./table.ts";
import { formatBytes, formatDuration, shortDigest } from "./units.ts";

/** With `quiet` only the delta's digest. */
export function renderDeltaComposed(composed: DeltaComposed, { quiet }: View): string {
  const { first, second, digest, name, pushed, layers, deltaBlobBytes, givenBlobBytes, durationMs } = composed;
  if (quiet) return `${digest}\n`;
  const lines = [
    `${sanitize(first)} and ${sanitize(second)}: ${digest}\n`,
    ...(name === null ? [] : [`  kept      ${name}\n`]),
    ...(pushed === null ? [] : [`  pushed    ${pushed}\n`]),
    `  took      ${formatDuration(durationMs)}\n`,
  ];
  const table = formatTable<ComposedLayerResult>(
    [
      { title: "LAYER", value: ({ diffId }) => shortDigest(diffId) },
      { title: "HOW", value: ({ how }) => how },
      { title: "COPIED", value: ({ copiedBytes }) => formatBytes(copiedBytes), align: "right" },
      { title: "NEW", value: ({ literalBytes }) => formatBytes(literalBytes), align: "right" },
      { title: "DELTA SIZE", value: ({ deltaBlobBytes }) => formatBytes(deltaBlobBytes), align: "right" },
    ],
    layers,
  );
  const sizes = `${formatBytes(deltaBlobBytes)}, where the two deltas have ${formatBytes(givenBlobBytes)}`;
  return `${lines.join("")}\n${table}\n${sizes}\n`;
}
