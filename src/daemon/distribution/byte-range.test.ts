import { describe, expect, it } from "vitest";
import { MAX_RANGES, parseRange } from "./byte-range.ts";

describe("Range", () => {
  it.each([
    ["bytes=0-0", [[0, 1]]],
    ["bytes=500-1499", [[500, 1500]]],
    ["bytes=500-", [[500, 2048]]],
    ["bytes=-500", [[1548, 2048]]],
    ["bytes=-5000", [[0, 2048]]],
    ["bytes=2000-5000", [[2000, 2048]]],
    ["BYTES=1-2", [[1, 3]]],
    [
      "bytes= 1-2 ,\t3-4",
      [
        [1, 3],
        [3, 5],
      ],
    ],
    [
      "bytes=9-10,1-2",
      [
        [9, 11],
        [1, 3],
      ],
    ],
    ["bytes=1-2,9999-", [[1, 3]]],
    ["bytes=500-0", []],
    ["bytes=5000-10000", []],
    ["bytes=2048-", []],
    ["bytes=-0", []],
  ] as const)("%s", (header, wanted) => {
    expect(parseRange(header, 2048)).toEqual(wanted.map(([start, end]) => ({ start, end })));
  });

  it.each([
    undefined,
    "",
    "lines=1-2",
    "bytes=",
    "bytes=-",
    "bytes=a-b",
    "bytes=1-2,",
    "bytes=1-2;3-4",
    "bytes=1",
    `bytes=${"9".repeat(30)}-`,
  ])("%s is none, so everything is wanted", (header) => {
    expect(parseRange(header, 2048)).toBeUndefined();
  });

  it("of an empty blob cannot be had", () => {
    expect(parseRange("bytes=0-", 0)).toEqual([]);
    expect(parseRange("bytes=-1", 0)).toEqual([]);
  });

  it("is no way to be sent many times what there is", () => {
    expect(parseRange("bytes=0-,0-", 100)).toBeUndefined();
    expect(parseRange("bytes=0-49,50-99", 100)).toHaveLength(2);
    const many = (count: number): string =>
      `bytes=${Array.from({ length: count }, (_, at) => `${2 * at}-${2 * at}`).join(",")}`;
    expect(parseRange(many(MAX_RANGES), 4096)).toHaveLength(MAX_RANGES);
    expect(parseRange(many(MAX_RANGES + 1), 4096)).toBe("too-many");
  });
});
