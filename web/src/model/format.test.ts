import { describe, expect, it } from "vitest";
import { count, formatAgo, formatBytes, formatDuration, formatShare, shortDigest, splitName } from "./format.ts";

describe("figures", () => {
  it("of bytes have three digits and never round up to a thousand of a unit", () => {
    const told = [0, 1, 999, 1000, 1234, 12_345, 999_499, 999_500, 1e6, 123_456_789, 2.5e12].map(formatBytes);
    expect(told).toEqual([
      "0 B", "1 B", "999 B", "1 kB", "1.23 kB", "12.3 kB", "999 kB", "1 MB", "1 MB", "123 MB", "2.5 TB",
    ]); // oxfmt-ignore
  });

  it("of times are told in what people count in", () => {
    const told = [0, 850, 1500, 59_949, 59_960, 245_000, 3_600_000, 7_830_000].map(formatDuration);
    expect(told).toEqual(["0 ms", "850 ms", "1.5 s", "59.9 s", "1 min 0 s", "4 min 5 s", "1 h 0 min", "2 h 11 min"]);
  });

  it("of shares are nothing only of nothing and all only of all", () => {
    const told = [
      [0, 10],
      [1, 1000],
      [994, 1000],
      [9999, 10_000],
      [10, 10],
      [1, 0],
    ].map(([a = 0, b = 0]) => formatShare(a, b));
    expect(told).toEqual(["0 %", "<1 %", "99 %", "99 %", "100 %", "0 %"]);
  });

  it("of ages are relative, and what is no time stays what it is", () => {
    const now = Date.parse("2026-03-01T12:00:00Z");
    expect(formatAgo("2026-03-01T11:59:40Z", now)).toBe("just now");
    expect(formatAgo("2026-03-01T11:57:00Z", now)).toBe("3 minutes ago");
    expect(formatAgo("2026-02-28T12:00:00Z", now)).toBe("yesterday");
    expect(formatAgo("one day", now)).toBe("one day");
  });
});

it("counts in words", () => {
  expect([count(1, "layer"), count(2, "layer"), count(1200, "entry", "entries")]).toEqual([
    "1 layer",
    "2 layers",
    "1,200 entries",
  ]);
});

it("cuts names where people read them", () => {
  expect(splitName("registry.example:5000/team/app:1.2")).toEqual({
    folder: "registry.example:5000/team/",
    last: "app",
    tag: ":1.2",
  });
  expect(splitName(`host/app@sha256:${"ab".repeat(32)}`)).toEqual({
    folder: "host/",
    last: "app",
    tag: "@sha256:abababababab…",
  });
  expect(shortDigest(`sha256:${"cd".repeat(32)}`)).toBe("cdcdcdcdcdcd");
});
