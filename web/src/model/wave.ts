/** The lines of sediment: gentle waves that follow from a layer's digest, so that the same layer looks the same in each image. */
import type { Band, Stratum } from "./strata.ts";

/** Between laminae, in pixels; a layer that is thinner has none. */
const LAMINA = 9;
/** A layer of gigabytes shall not be a thousand lines. */
const MOST_LAMINAE = 24;

/** A number between 0 and 1 that follows from the text; FNV-1a. */
export function seedOf(text: string, salt = 0): number {
  let hash = 0x811c9dc5 ^ salt;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

/** A layer as far as its edge is concerned. */
export type Edge = Pick<Stratum, "key" | "height">;

/** The body of a layer: its upper edge waves, its lower one is that of the layer below it. */
export function stratumPath(
  { key, y, height }: Edge & Pick<Stratum, "y">,
  below: Edge | undefined,
  x: number,
  width: number,
): string {
  const rise = amplitude(key, height);
  const fall = below === undefined ? 0 : amplitude(below.key, below.height);
  return `M${x} ${round(y)}${wave(width, rise)}V${round(y + height)}${wave(-width, -fall)}Z`;
}

/** The thin lines within it. */
export function laminae(key: string, x: number, y: number, width: number, height: number): string {
  const lines = Math.min(MOST_LAMINAE, Math.floor(height / LAMINA) - 1);
  if (lines < 1) return "";
  const rise = amplitude(key, height);
  return Array.from({ length: lines }, (_, at) => {
    const wobble = (seedOf(key, at + 1) - 0.5) * 0.8;
    const place = y + (height * (at + 1 + wobble)) / (lines + 1);
    return `M${x} ${round(place)}${wave(width, rise * 0.7)}`;
  }).join("");
}

/** Between two neighbours, as smooth as what settles. */
export function bandPath({ from, to }: Band): string {
  const middle = (from.x + to.x) / 2;
  const [fromEnd, toEnd] = [from.y + from.height, to.y + to.height];
  return `M${from.x} ${from.y}C${middle} ${from.y} ${middle} ${to.y} ${to.x} ${to.y}V${toEnd}C${middle} ${toEnd} ${middle} ${fromEnd} ${from.x} ${fromEnd}Z`;
}

function amplitude(key: string, height: number): number {
  return Math.min(2.2, height / 6) * (seedOf(key) > 0.5 ? 1 : -1);
}

/** Half a wave up and half a wave down; ends at the height where it began. */
function wave(width: number, rise: number): string {
  return `q${round(width / 4)} ${round(-2 * rise)} ${round(width / 2)} 0t${round(width / 2)} 0`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
