/** Which sizes are tried, and when. */
import { describe, expect, it } from "vitest";
import { ChunkSize } from "./chunk-size.ts";

const MIB = 1024 * 1024;

/** Sizes that are tried when everything is in vain, with how many tries each. */
function tries(size: number, least = 0, isCut = true): [size: number, tries: number][] {
  const chunks = new ChunkSize();
  const tried: [number, number][] = [];
  for (let at = 0; at < 20; at++) {
    const length = Math.min(size, chunks.size);
    const last = tried.at(-1);
    if (last?.[0] === length) last[1]++;
    else tried.push([length, 1]);
    chunks.inVain({ length, least, isCut });
  }
  return tried.slice(0, -1);
}

describe("smaller pieces", () => {
  it("are tried after the second line that broke, and then at once", () => {
    const all: [number, number][] = [
      [1000 * MIB, 2],
      [64 * MIB, 1],
      [8 * MIB, 1],
    ];
    expect(tries(1000 * MIB)).toEqual(all);
    expect(tries(20 * MIB)).toEqual([
      [20 * MIB, 2],
      [8 * MIB, 1],
    ]);
    expect(tries(1.5 * MIB)).toEqual([[1.5 * MIB, 2]]);
    expect(tries(MIB)).toEqual([]);
  });

  it("are not smaller than the registry wants them", () => {
    expect(tries(1000 * MIB, 5 * MIB).map(([size]) => size)).toEqual([1000 * MIB, 64 * MIB]);
  });

  it("are tried for answers only where there was more than many take", () => {
    expect(tries(1000 * MIB, 0, false).map(([size]) => size)).toEqual([1000 * MIB]);
    expect(tries(20 * MIB, 0, false)).toEqual([]);
  });

  it("need a line that breaks twice again when some have passed", () => {
    const chunks = new ChunkSize();
    const inVain = () => chunks.inVain({ length: Math.min(chunks.size, 100 * MIB), least: 0, isCut: true });
    for (let at = 0; at < 2; at++) inVain();
    expect(chunks.size).toBe(64 * MIB);
    chunks.accepted();
    inVain();
    expect(chunks.size).toBe(64 * MIB);
    inVain();
    expect(chunks.size).toBe(8 * MIB);
  });

  it("are given up for good where none are taken, but for a registry that says 413", () => {
    const chunks = new ChunkSize();
    const inVain = () => chunks.inVain({ length: 100 * MIB, least: 0, isCut: true });
    expect(chunks.withdraw()).toBe(false);
    for (let at = 0; at < 2; at++) inVain();
    expect(chunks.withdraw()).toBe(true);
    for (let at = 0; at < 5; at++) inVain();
    expect(chunks.size).toBe(Infinity);
    expect(chunks.tooLarge(100 * MIB, 0)).toBe(true);
    expect(chunks.size).toBe(25 * MIB);
    expect(chunks.withdraw()).toBe(false);
    expect(chunks.tooLarge(100_000, 0)).toBe(false);
  });
});
