import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { layOut, type StrataOptions } from "./strata.ts";
import type { Core } from "./kinship.ts";
import { bandPath, laminae, stratumPath } from "./wave.ts";

const options: StrataOptions = { width: 500, axis: 60, coreWidth: 100, gap: 40, height: 300 };
const core = (name: string, ...sizes: number[]): Core => ({
  name,
  layers: sizes.map((size, at) => ({ key: `${at} ${size}`, size })),
});

describe("strata", () => {
  it("lie one on the other from the floor up, each as high as it is large", () => {
    const [row] = layOut([core("a", 100, 200), core("b", 100, 50)], options);
    const { cores: [a, b] = [], height = 0 } = row ?? {};
    expect(a?.strata.map(({ height }) => height)).toEqual([100, 200]);
    expect(a?.strata[0]).toMatchObject({ y: height - 100, index: 0 });
    expect(a?.strata[1]).toMatchObject({ y: height - 300, index: 1 });
    expect(b?.strata[1]).toMatchObject({ y: height - 150, height: 50 });
  });

  it("go on in another row where there is no room, to the same scale", () => {
    const rows = layOut(
      ["a", "b", "c", "d", "e"].map((name) => core(name, 10)),
      options,
    );
    expect(rows.map(({ cores }) => cores.map(({ image }) => image.name))).toEqual([
      ["a", "b", "c"],
      ["d", "e"],
    ]);
    expect(rows[1]?.cores[0]?.x).toBe(60);
  });

  it("are joined to their like in the neighbour, once", () => {
    const twice: Core = {
      name: "a",
      layers: [
        { key: "x", size: 5 },
        { key: "x", size: 5 },
        { key: "y", size: 1 },
      ],
    };
    const rows = layOut([twice, { name: "b", layers: [{ key: "x", size: 5 }] }], options);
    expect(rows[0]?.bands.map(({ key }) => key)).toEqual(["x"]);
    expect(rows[0]?.bands[0]).toMatchObject({ from: { x: 160 }, to: { x: 200 } });
  });

  it("never overlap, leave no gap, and stay in the drawing whatever their sizes", () => {
    const sizes = fc.array(fc.integer({ min: 0, max: 2 ** 40 }), { maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(sizes, { minLength: 1, maxLength: 6 }),
        fc.integer({ min: 0, max: 2000 }),
        (images, width) => {
          const rows = layOut(
            images.map((sizes, at) => core(String(at), ...sizes)),
            { ...options, width },
          );
          const cores = rows.flatMap(({ cores, height }) => cores.map((core) => ({ ...core, bottom: height })));
          for (const { strata, y: top, bottom } of cores) {
            let floor = bottom;
            for (const { y, height } of strata) {
              expect(y + height).toBeCloseTo(floor, 5);
              expect(height).toBeGreaterThanOrEqual(5);
              floor = y;
            }
            expect(top).toBeCloseTo(floor, 5);
            expect(top).toBeGreaterThanOrEqual(0);
          }
        },
      ),
    );
  });

  it("have a scale of few round figures that begins with nothing", () => {
    for (const largest of [1, 7, 999, 12_345, 3e9]) {
      const { ticks = [] } = layOut([core("a", largest)], options)[0] ?? {};
      expect(ticks[0]?.bytes).toBe(0);
      expect(ticks.length).toBeLessThanOrEqual(6);
      expect(ticks.every(({ bytes }) => bytes <= largest && /^[125]?0*$|^[1-9]0*$/.test(String(bytes)))).toBe(true);
    }
  });
});

it("draws a layer alike wherever it is, and finite numbers whatever it is", () => {
  expect(stratumPath({ key: "key", y: 10, height: 40 }, undefined, 0, 100)).toBe(
    stratumPath({ key: "key", y: 10, height: 40 }, undefined, 0, 100),
  );
  expect(stratumPath({ key: "key", y: 10, height: 40 }, undefined, 0, 100)).not.toBe(
    stratumPath({ key: "other key", y: 10, height: 40 }, undefined, 0, 100),
  );
  expect(laminae("key", 0, 0, 100, 1e6).split("M").length - 1).toBeLessThanOrEqual(24);
  const band = bandPath({ key: "x", from: { x: 0, y: 1, height: 2 }, to: { x: 10, y: 3, height: 4 } });
  expect(
    `${band}${laminae("", 0, 0, 0, 0)}${stratumPath({ key: "", y: 0, height: 0 }, { key: "", height: 0 }, 0, 0)}`,
  ).not.toMatch(/NaN|Infinity|undefined/);
});
