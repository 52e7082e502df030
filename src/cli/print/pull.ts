/** What `pull` did or would do, for people. */
import type { DiskResult, LayerResult, PullResult } from "../../transfer/pull-result.ts";
import type { View } from "../command.ts";
import { sanitize } from "./sanitize.ts";
import { type Column, formatTable } from "./table.ts";
import { formatBytes, formatDuration, plural, shortDigest } from "./units.ts";

const LAYER_COLUMNS: readonly Column<LayerResult>[] = [
  { title: "LAYER", value: (layer) => shortDigest(layer.digest) },
  { title: "SIZE", value: (layer) => formatBytes(layer.size), align: "right" },
  { title: "HOW", value: (layer) => layer.how },
  { title: "NETWORK", value: (layer) => formatBytes(layer.bytes.network), align: "right" },
  { title: "LOCAL", value: (layer) => formatBytes(layer.bytes.local), align: "right" },
  { title: "DATA", value: (layer) => formatBytes(layer.bytes.data), align: "right" },
  { title: "ZERO", value: (layer) => formatBytes(layer.bytes.zero), align: "right" },
];

/** With `quiet` only the name that cannot change its meaning. */
export function renderPull(result: PullResult, view: View): string {
  const reference = sanitize(result.reference);
  if (view.quiet) return `${reference.replace(/@.*$/, "")}@${result.digest}\n`;
  const lines = [`${reference}: ${result.status}`, `  digest    ${result.digest}`, `  image id  ${result.imageId}`];
  if (result.deltaDigest !== undefined) lines.push(`  by delta  ${result.deltaDigest}`);
  if (result.platform !== null) lines.push(`  platform  ${sanitize(result.platform)}`);
  for (const disk of result.disks ?? []) lines.push(`  disk      ${diskText(disk)}`);
  lines.push(`  moved     ${moved(result)}`);
  const text = lines.map((line) => `${line}\n`).join("");
  const fallbacks = renderFallbacks(result);
  return view.verbose ? text + indent(formatTable(LAYER_COLUMNS, result.layers)) + fallbacks : text + fallbacks;
}

export function renderPlan(result: PullResult): string {
  const platform = result.platform === null ? "" : ` (${sanitize(result.platform)})`;
  const title = `${sanitize(result.reference)}: ${result.digest ?? `image ${result.imageId}`}${platform}\n`;
  const { network, local, data, zero } = result.bytes;
  const disks = (result.disks ?? []).map((disk) => `  disk ${diskText(disk)}: ${diskCost(disk)}\n`).join("");
  const sources = `would move ${formatBytes(network)} over the network; ${formatBytes(local)} are on this machine`;
  const extras = data + zero === 0 ? "" : `, ${formatBytes(data)} come as data, ${formatBytes(zero)} are zeros`;
  return `${title}${indent(formatTable(LAYER_COLUMNS, result.layers))}${disks}  ${sources}${extras}\n${renderFallbacks(result)}`;
}

/** `disk.img, 50 GB, takes 21 GB, in /var/lib/varve/disks/sha256/...` */
function diskText({ name, size, allocatedBytes, path }: DiskResult): string {
  const parts = [sanitize(name)];
  if (size !== null) parts.push(formatBytes(size));
  if (allocatedBytes !== null) parts.push(`takes ${formatBytes(allocatedBytes)}`);
  parts.push(path === null ? "not made yet" : sanitize(path));
  return parts.join(", ");
}

function diskCost({ bytes, requests }: DiskResult): string {
  const { network, local, zero, copied } = bytes;
  const parts = [`${formatBytes(network)} over the network in ${plural(requests, "request")}`];
  if (local > copied) parts.push(`${formatBytes(local - copied)} from this machine`);
  if (copied > 0) parts.push(`${formatBytes(copied)} copied within`);
  if (zero > 0) parts.push(`${formatBytes(zero)} of zeros`);
  return parts.join(", ");
}

function moved({ bytes, layers, durationMs, resumedBytes, retries }: PullResult): string {
  const parts = [`${plural(layers.length, "layer")}, ${formatBytes(bytes.network)} over the network`];
  if (bytes.local > 0) parts.push(`${formatBytes(bytes.local)} from this machine`);
  if (resumedBytes > 0) parts.push(`${formatBytes(resumedBytes)} kept from before`);
  if (retries > 0) parts.push(`retried ${plural(retries, "time")}`);
  return `${parts.join(", ")} in ${formatDuration(durationMs)}`;
}

/** Falling back is reported, never silent. */
function renderFallbacks({ layers }: PullResult): string {
  return layers
    .flatMap((layer) => layer.fallbacks.map((fallback) => ({ layer, ...fallback })))
    .map(
      ({ layer, from, reason }) =>
        `  ${shortDigest(layer.digest)} fell back from ${sanitize(from)}: ${sanitize(reason)}\n`,
    )
    .join("");
}

function indent(text: string): string {
  return text.replace(/^(?=.)/gm, "  ");
}
