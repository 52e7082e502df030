import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatZstdChunkedFooter, parseZstdChunkedFooter, type ZstdChunkedFooter } from "./footer.ts";

const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
const place = fc.record({ offset: number, compressed: number, uncompressed: number });
const footers: fc.Arbitrary<ZstdChunkedFooter> = fc.oneof(
  fc.record({ dialect: fc.constant("podman" as const), toc: place, tarSplit: place }),
  fc.record({ dialect: fc.constant("nerdctl" as const), toc: place }),
);

describe("a footer", () => {
  it("says what it was given, whatever stands before it", () => {
    fc.assert(
      fc.property(footers, fc.uint8Array({ maxLength: 90 }), (footer, before) => {
        const frame = formatZstdChunkedFooter(footer);
        expect(frame.length).toBe(footer.dialect === "podman" ? 72 : 48);
        expect(parseZstdChunkedFooter(Buffer.concat([before, frame]))).toEqual(footer);
      }),
    );
  });

  it("is podman's to the byte", () => {
    const frame = formatZstdChunkedFooter({
      dialect: "podman",
      toc: { offset: 0x0102, compressed: 3, uncompressed: 4 },
      tarSplit: { offset: 5, compressed: 6, uncompressed: 7 },
    });
    const u64 = (hex: string): string => hex.padEnd(16, "0");
    expect(frame.toString("hex")).toBe(
      `502a4d1840000000${u64("0201")}${u64("03")}${u64("04")}${u64("01")}${u64("05")}${u64("06")}${u64("07")}474e556c496e5578`,
    );
  });

  it("is none when anything about it is off", () => {
    const frame = formatZstdChunkedFooter({
      dialect: "nerdctl",
      toc: { offset: 9, compressed: 8, uncompressed: 7 },
    });
    for (const [at, value] of [
      [0, 0],
      [4, 41],
      [32, 2],
      [47, 0x79],
      [14, 0xff],
    ] as const) {
      const near = Buffer.from(frame);
      near[at] = value;
      expect(parseZstdChunkedFooter(near)).toBeUndefined();
    }
    expect(parseZstdChunkedFooter(frame.subarray(1))).toBeUndefined();
    expect(parseZstdChunkedFooter(new Uint8Array(0))).toBeUndefined();
  });
});
