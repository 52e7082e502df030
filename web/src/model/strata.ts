/**
 * Where each layer of each image is drawn: images as cores of sediment side by side, the oldest layer lowest, heights to one scale, and bands
 * between neighbours that hold the same layer. Pure: names and sizes in, places in CSS pixels out.
 */
import type { Core } from "./kinship.ts";

export interface Stratum {
  readonly key: string;
  readonly size: number;
  /** From below, 0 first. */
  readonly index: number;
  /** Of its upper edge. */
  readonly y: number;
  readonly height: number;
}

export interface PlacedCore<T extends Core> {
  readonly image: T;
  readonly x: number;
  readonly width: number;
  /** Of the core's top. */
  readonly y: number;
  readonly strata: readonly Stratum[];
}

/** The same layer in two neighbours. */
export interface Band {
  readonly key: string;
  readonly from: { readonly x: number; readonly y: number; readonly height: number };
  readonly to: { readonly x: number; readonly y: number; readonly height: number };
}

export interface StrataRow<T extends Core> {
  readonly cores: readonly PlacedCore<T>[];
  readonly bands: readonly Band[];
  /** Of the row's drawing; what lies lowest ends there. */
  readonly height: number;
  readonly ticks: readonly { readonly bytes: number; readonly y: number }[];
}

export interface StrataOptions {
  /** Of the room for a row, and of the scale at its left. */
  readonly width: number;
  readonly axis: number;
  readonly coreWidth: number;
  /** Between two cores, at least. */
  readonly gap: number;
  /** Of the largest image. */
  readonly height: number;
}

/** So that a layer of a few bytes can be seen, and met with a pointer. */
const THINNEST = 5;
/** Above the largest image of a row. */
const HEADROOM = 12;
/** That a tick's figure takes. */
const TICK_ROOM = 6;

export function layOut<T extends Core>(images: readonly T[], options: StrataOptions): StrataRow<T>[] {
  const { width, axis, coreWidth, gap, height } = options;
  const largest = Math.max(1, ...images.map(({ layers }) => layers.reduce((sum, { size }) => sum + size, 0)));
  const scale = height / largest;
  const perRow = Math.max(1, Math.floor((width - axis + gap) / (coreWidth + gap)));
  const rows: StrataRow<T>[] = [];
  for (let at = 0; at < images.length; at += perRow) {
    const those = images.slice(at, at + perRow);
    // What is drawn thicker than it is may make a core higher than the scale has it.
    const floor = Math.max(...those.map((image) => stack(image, 0, scale).height)) + HEADROOM;
    const cores = those.map((image, column): PlacedCore<T> => {
      const { strata, height: used } = stack(image, floor, scale);
      return { image, x: axis + column * (coreWidth + gap), width: coreWidth, y: floor - used, strata };
    });
    const bands = cores.flatMap((core, column) => bandsBetween(core, cores[column + 1]));
    const ticks = tickBytes(largest).map((bytes) => ({ bytes, y: floor - bytes * scale }));
    rows.push({ cores, bands, height: floor, ticks: ticks.filter(({ y }) => y >= TICK_ROOM) });
  }
  return rows;
}

function stack(image: Core, floor: number, scale: number): { strata: Stratum[]; height: number } {
  const strata: Stratum[] = [];
  let top = floor;
  for (const [index, { key, size }] of image.layers.entries()) {
    const height = Math.max(THINNEST, size * scale);
    top -= height;
    strata.push({ key, size, index, y: top, height });
  }
  return { strata, height: floor - top };
}

function bandsBetween<T extends Core>(left: PlacedCore<T>, right: PlacedCore<T> | undefined): Band[] {
  if (right === undefined) return [];
  const others = new Map(right.strata.map((stratum) => [stratum.key, stratum]));
  return left.strata.flatMap(({ key, y, height }) => {
    const other = others.get(key);
    // An image may have the same layer twice; one band is enough.
    if (other === undefined || !others.delete(key)) return [];
    return {
      key,
      from: { x: left.x + left.width, y, height },
      to: { x: right.x, y: other.y, height: other.height },
    };
  });
}

/** Four or so round numbers up to the largest: 1, 2 or 5 times a power of ten. */
function tickBytes(largest: number): number[] {
  const rough = largest / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power);
  return Array.from({ length: Math.floor(largest / step) + 1 }, (_, at) => at * step);
}
