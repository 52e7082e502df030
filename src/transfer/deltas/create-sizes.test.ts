/** Deltas between the images that balena's engine is held to (formats "balena-delta" §9): no larger than its own, and each makes its layer. */
import { describe, expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { buildLayer, type KitLayer } from "../../../test/kit/images/build-layer.ts";
import { deltaIn, patched, readDeltaImage } from "../../../test/kit/images/delta-layers.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { holdImage } from "../../../test/kit/store/hold-image.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { directory, file } from "../../../test/kit/trees/tree-node.ts";
import { createDelta } from "./create.ts";

const rng = createRng(7);
const SIZES = [
  0,
  0,
  256,
  333,
  1024,
  1024,
  3307,
  8192,
  9876,
  10_240,
  131_072,
  150_000,
  500_003,
  1e6,
  1e6,
  2 ** 20,
  2 ** 20,
];
/** Random files by number, and two large ones made of them. */
const DATA = new Map<number, Buffer>(SIZES.map((size, number) => [number, rng.bytes(size)]));
const joined = (...numbers: readonly number[]): Buffer => Buffer.concat(numbers.map((number) => DATA.get(number)!));
DATA.set(100, joined(15, 13, 12, 14, 10));
DATA.set(101, joined(16, 13, 12, 14, 10));

function layerOf(...numbers: readonly number[]): Promise<KitLayer> {
  return buildLayer(numbers.map((number) => file(nameOf(number), DATA.get(number))));
}

function nameOf(number: number): string {
  return `${String(number).padStart(3, "0")}.data`;
}

function placed(folder: string, name: string, number: number): Promise<KitLayer> {
  return buildLayer([directory(folder), file(`${folder}/${name}`, DATA.get(number))]);
}

const each = (...numbers: readonly number[]): Promise<KitLayer>[] => numbers.map((number) => layerOf(number));

const UPDATES = [
  placed("003", "000-a.data", 0),
  placed("003", "000-b.data", 1),
  placed("001", "000.data", 2),
  placed("003", "000-c.data", 0),
];
const PLACED = placed("001", "000.data", 0);
const GROUPS = [[1], [2, 3, 4], [5, 6], [7], [8], [9, 10], [11], [12, 13, 14, 15]].map((group) => layerOf(...group));
const LARGE = layerOf(0, 100, 6, 9);

/** By the names that they have there. */
const IMAGES: Readonly<Record<string, readonly Promise<KitLayer>[]>> = {
  "000": [layerOf(0)],
  "001": [layerOf(0), PLACED],
  "002": [layerOf(0), layerOf(2)],
  "003": [layerOf(0), PLACED, ...UPDATES],
  "004": GROUPS,
  "005": GROUPS,
  "006": each(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
  "007": each(2, 8, 3, 5, 15, 1, 11, 6, 9, 7, 14, 10, 12, 13, 4),
  "008": [layerOf(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)],
  "010": [LARGE, layerOf(4, 9, 11)],
  "011": [LARGE, layerOf(5, 9, 11)],
  "012": [layerOf(0, 101, 6, 9)],
};

async function imageOf(name: string): Promise<KitImage> {
  return buildImage({ layers: await Promise.all(IMAGES[name]!) });
}

describe("deltas are no larger than upstream's", () => {
  it.each([
    ["000", "001", 1044],
    ["000", "002", 1045],
    ["001", "003", 4689],
    ["000", "003", 5733],
    ["004", "005", 0],
    ["006", "007", 381],
    ["006", "008", 115],
    ["008", "006", 381],
    ["010", "011", 1567],
    ["010", "012", 1_049_125],
  ])("%s to %s", async (from, to, most) => {
    const context = await transferContext();
    const [base, target] = [await holdImage(context, "base", await imageOf(from)), await imageOf(to)];
    await holdImage(context, "target", target);
    const made = await createDelta(context, "base", "target", { tag: "delta" });
    expect(made.deltaBytes).toBeLessThanOrEqual(most);
    const { tars, config } = await readDeltaImage(context, "delta");
    expect(config.config.Labels["io.resin.delta.config"]).toBe(target.config.bytes.toString());
    for (const [index, tar] of tars.entries()) {
      const delta = deltaIn(tar);
      const layer = delta === undefined ? base.layers[index]!.tar : await patched(base, delta);
      expect(Buffer.compare(layer, target.layers[index]!.tar)).toBe(0);
    }
  });
});
