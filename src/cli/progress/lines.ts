/** The lines of the moving display: the image, one per layer, a total; never more than fit. Pure, so that tests can look. */
import { isDigest } from "../../oci/digest.ts";
import { sanitize } from "../print/sanitize.ts";
import { formatBytes, formatEta, percent, shortDigest } from "../print/units.ts";
import { fit, padEnd, padStart } from "../print/width.ts";
import {
  isFinished,
  isStalled,
  isWaitedFor,
  type LayerState,
  type ProgressModel,
  speedOf,
  type Totals,
} from "./model.ts";
import type { Span } from "./spans.ts";

const LABEL = 12;
const PERCENT = " 100%".length;
const SIZES = "99.9 MB / 99.9 MB".length;
/** Columns after the sizes: speed, time left. */
const TAIL = ["99.9 MB/s".length, "59m59s".length] as const;
const GAP: Span = { text: "  " };
const BAR_MOST = 30;
const BAR_LEAST = 8;

export interface DisplaySize {
  readonly columns: number;
  readonly rows: number;
}

/** At most `rows - 1` lines: the last row stays free, so that drawing never scrolls the screen. */
export function displayLines(model: ProgressModel, now: number, { columns, rows }: DisplaySize): Span[][] {
  const totals = model.totals(now);
  const title = titleLine(model);
  const written = writtenLine(model);
  const total =
    totals.layers === 0 || written.length > 0 ? written : [totalLine(totals, columns), ...receivedLine(model)];
  const room = Math.max(0, rows - 1 - title.length - total.length);
  const lines = [...title, ...layerLines(model, now, columns, room), ...total];
  // A terminal of a row or two: the total is what matters most.
  return lines.slice(-Math.max(1, rows - 1));
}

function titleLine({ reference, destination }: ProgressModel): Span[][] {
  if (reference === "") return [];
  const to = destination === undefined ? "" : ` to ${sanitize(destination)}`;
  return [[{ text: `${sanitize(reference)}${to}`, style: "strong" }]];
}

/** Of a file that is copied, in place of a total: what of its length is on the disk. */
function writtenLine({ layers: [file, ...others] }: ProgressModel): Span[][] {
  if (file?.copied === undefined || others.length > 0) return [];
  return [[{ text: "written".padEnd(LABEL), style: "strong" }, GAP, { text: formatBytes(file.copied) }]];
}

/** Of a machine's disks, of which far less moves than they are long. */
function receivedLine({ layers }: ProgressModel): Span[][] {
  const received = layers.flatMap((layer) => layer.received ?? []);
  if (received.length === 0) return [];
  const bytes = received.reduce((sum, each) => sum + each, 0);
  return [[{ text: "received".padEnd(LABEL), style: "strong" }, GAP, { text: formatBytes(bytes) }]];
}

/** When there are more layers than rows, those at work come first, then those that ended last; the others are counted. */
function layerLines(model: ProgressModel, now: number, columns: number, room: number): Span[][] {
  const { layers, destination } = model;
  const place = destination === undefined ? "here" : "there";
  if (layers.length <= room) return layers.map((layer) => layerLine(layer, now, columns, place));
  const places = room - 1;
  if (places < 1) return [];
  const busy = layers.filter((layer) => !isFinished(layer) && layer.phase !== "queued");
  const finished = layers.filter(isFinished).toSorted((a, b) => b.updatedAt - a.updatedAt);
  const queued = layers.filter((layer) => layer.phase === "queued");
  const chosen = new Set([...busy, ...finished, ...queued].slice(0, places));
  const hidden = layers.filter((layer) => !chosen.has(layer));
  const done = hidden.filter(isFinished).length;
  const text = `${" ".repeat(LABEL)}  and ${hidden.length} more${done === 0 ? "" : `, ${done} of them done`}`;
  return [
    ...layers.filter((layer) => chosen.has(layer)).map((layer) => layerLine(layer, now, columns, place)),
    [{ text, style: "faint" }],
  ];
}

export function layerLine(layer: LayerState, now: number, columns: number, place: "here" | "there" = "here"): Span[] {
  const label: Span = { text: padEnd(labelOf(layer.name), LABEL) };
  switch (layer.phase) {
    case "queued":
      if (layer.total === 0) return [label, { text: "  queued", style: "faint" }];
      return [label, { text: "  queued   ", style: "faint" }, size(layer.total)];
    case "waiting":
      return [label, { text: `  waiting for another process, ${percent(layer.done, layer.total)}`, style: "faint" }];
    case "fetching":
      return movingLine(label, layer.done, layer.total, columns, fetchingTail(layer, now));
    case "verified":
      return [label, { text: "  checked  ", style: "busy" }, size(layer.total)];
    case "unpacking":
      return unpackingLine(label, layer, columns);
    case "checking":
      return movingLine(label, layer.done, layer.total, columns, [{ text: "checking", style: "busy" }]);
    case "present":
      return [label, { text: `  is ${place}`.padEnd("  is here  ".length), style: "faint" }, size(layer.total)];
    case "done":
      return [label, { text: "  done     ", style: "good" }, size(layer.total)];
  }
}

/** Of a digest its first digits; of a disk's name what fits. */
function labelOf(name: string): string {
  return isDigest(name) ? shortDigest(name) : fit(sanitize(name), LABEL);
}

function unpackingLine(label: Span, layer: LayerState, columns: number): Span[] {
  const word: Span = { text: layer.compresses ? "compressing" : "unpacking", style: "busy" };
  if (layer.unpackTotal !== null) return movingLine(label, layer.unpacked, layer.unpackTotal, columns, [word]);
  return [label, { text: "  " }, word, { text: `  ${formatBytes(layer.unpacked)}` }];
}

function totalLine(totals: Totals, columns: number): Span[] {
  const label: Span = { text: `total ${totals.finished}/${totals.layers}`.padEnd(LABEL), style: "strong" };
  if (totals.finished === totals.layers) {
    return [label, { text: "  done     ", style: "good" }, size(totals.total)];
  }
  const tail = totals.bytesPerSecond > 0 ? [speed(totals.bytesPerSecond), eta(totals.etaSeconds)] : [];
  return movingLine(label, totals.done, totals.total, columns, tail);
}

function fetchingTail(layer: LayerState, now: number): Span[] {
  if (isStalled(layer, now)) return [{ text: padStart("stalled", TAIL[0]), style: "bad" }];
  if (isWaitedFor(layer)) return [{ text: padStart("finishing", TAIL[0]), style: "busy" }];
  const rate = speedOf(layer, now);
  return rate > 0 ? [speed(rate), eta(layer.etaSeconds)] : [];
}

/** Label, bar, percentage, sizes, and of the tail as many columns as every line has room for, so that all lines align. */
function movingLine(label: Span, done: number, total: number, columns: number, tail: readonly Span[]): Span[] {
  const share = total > 0 ? Math.min(1, done / total) : 0;
  const sizes = padStart(`${formatBytes(done)} / ${formatBytes(total)}`, SIZES);
  const layout = layoutFor(columns);
  return [
    label,
    ...(layout.bar > 0 ? [GAP, ...bar(share, layout.bar)] : []),
    { text: padStart(percent(share, 1), PERCENT) },
    GAP,
    { text: sizes },
    ...tail.slice(0, layout.tail).flatMap((span) => [GAP, span]),
  ];
}

/** The bar shrinks first, then the tail goes column by column, then the bar goes. */
function layoutFor(columns: number): { readonly bar: number; readonly tail: number } {
  for (let tail = TAIL.length; tail >= 0; tail -= 1) {
    const taken = TAIL.slice(0, tail).reduce(
      (sum, cells) => sum + cells + GAP.text.length,
      LABEL + PERCENT + GAP.text.length + SIZES,
    );
    const free = columns - taken - GAP.text.length - "[]".length;
    if (free >= BAR_LEAST) return { bar: Math.min(BAR_MOST, free), tail };
  }
  return { bar: 0, tail: 0 };
}

function bar(share: number, cells: number): Span[] {
  const full = Math.floor(share * cells);
  return [
    { text: "[" },
    { text: "=".repeat(full), style: "busy" },
    { text: `${full < cells ? ">" : ""}${" ".repeat(Math.max(0, cells - full - 1))}]` },
  ];
}

function size(bytes: number): Span {
  return { text: formatBytes(bytes).padStart("99.9 MB".length), style: "faint" };
}

function speed(bytesPerSecond: number): Span {
  return { text: padStart(`${formatBytes(bytesPerSecond)}/s`, TAIL[0]) };
}

function eta(seconds: number | null): Span {
  return { text: seconds === null ? "" : padStart(formatEta(seconds), TAIL[1]) };
}
