import { expect, it } from "vitest";
import { SpeedSeries } from "./speed.ts";

it("measures over a moment, both what was received and what it came to", () => {
  const series = new SpeedSeries();
  for (let at = 0; at <= 10; at++) series.sample(1000 + at * 500, { network: at * 50, done: at * 500 });
  expect(series.points.at(-1)).toEqual({ at: 5, network: 100, done: 1000 });
});

it("has no speed below nothing when bytes are counted from the beginning again", () => {
  const series = new SpeedSeries();
  series.sample(0, { network: 100, done: 100 });
  series.sample(500, { network: 200, done: 200 });
  series.sample(1000, { network: 0, done: 0 });
  series.sample(1500, { network: 50, done: 50 });
  expect(series.points.every(({ network, done }) => network >= 0 && done >= 0)).toBe(true);
  expect(series.points.at(-1)?.network).toBe(100);
});

it("is bounded however long a pull takes, and still spans all of it", () => {
  const series = new SpeedSeries();
  for (let at = 0; at <= 20_000; at++) series.sample(at * 500, { network: at, done: at });
  expect(series.points.length).toBeLessThanOrEqual(601);
  expect(series.points[0]?.at).toBeLessThan(20);
  expect(series.points.at(-1)?.at).toBeGreaterThan(9900);
});
