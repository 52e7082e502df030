/** What `varve delta create` has made, for people. */
import type { DeltaCreated, DeltaLayerResult } from "../../transfer/deltas/create-types.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { formatTable } from "./table.ts";
import { formatBytes, formatDuration, shortDigest } from "./units.ts";

/** With `quiet` only the delta's digest. */
export function renderDeltaCreated(created: DeltaCreated, { quiet }: View): string {
  const { base, target, digest, name, pushed, isListed, layers, durationMs } = created;
  if (quiet) return digest === null ? "" : `${digest}\n`;
  if (digest === null) return `${sanitize(base)} to ${sanitize(target)}: no layer gains by a delta, so none was made\n`;
  const lines = [
    `${sanitize(base)} to ${sanitize(target)}: ${digest}\n`,
    ...(name === null ? [] : [`  kept      ${name}\n`]),
    ...(pushed === null ? [] : [`  pushed    ${pushed}${isListed ? ", and listed as a delta of its target" : ""}\n`]),
    `  took      ${formatDuration(durationMs)}\n`,
  ];
  const table = formatTable<DeltaLayerResult>(
    [
      { title: "LAYER", value: ({ diffId }) => shortDigest(diffId) },
      { title: "HOW", value: ({ how, helps }) => (helps ? how : `${how}, gains nothing`) },
      { title: "COPIED", value: ({ copiedBytes }) => formatBytes(copiedBytes), align: "right" },
      { title: "NEW", value: ({ literalBytes }) => formatBytes(literalBytes), align: "right" },
      { title: "LAYER SIZE", value: ({ blobBytes }) => formatBytes(blobBytes), align: "right" },
      { title: "DELTA SIZE", value: ({ deltaBlobBytes }) => formatBytes(deltaBlobBytes), align: "right" },
    ],
    layers,
  );
  return `${lines.join("")}\n${table}\n${sizes(created)}\n`;
}

/** As balena's engine says it: of the layers that are not common, as they are and as they go over the wire. */
function sizes({ format, bytes, deltaBytes, blobBytes, deltaBlobBytes }: DeltaCreated): string {
  const line = (normal: number, delta: number): string =>
    `Normal size: ${formatBytes(normal)}, Delta size: ${formatBytes(delta)}, ${improvement(normal, delta)}x improvement`;
  const overWire = line(blobBytes, deltaBlobBytes);
  return format === "librsync" ? `${line(bytes, deltaBytes)}\nCompressed:  ${overWire}` : overWire;
}

function improvement(normal: number, delta: number): string {
  return (normal === 0 ? 1 : normal / Math.max(1, delta)).toFixed(2);
}
