import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { PackedBytes } from "./packed-bytes.ts";

describe("bytes that are kept compressed", () => {
  it("are what was appended, wherever they are read", () => {
    const anyPiece = fc.tuple(fc.integer({ min: 0, max: 90_000 }), fc.boolean());
    fc.assert(
      fc.property(fc.array(anyPiece, { maxLength: 12 }), fc.array(fc.tuple(fc.nat(), fc.nat())), (pieces, reads) => {
        const packed = new PackedBytes();
        const contents = pieces.map(([size, isRandom]) =>
          isRandom ? randomBytes(size) : Buffer.alloc(size, "header"),
        );
        for (const content of contents) packed.append(content);
        const whole = Buffer.concat(contents);
        expect(packed.size).toBe(whole.length);
        for (const [from, count] of [[0, whole.length], ...reads] as const) {
          const start = from % (whole.length + 1);
          const end = start + (count % (whole.length - start + 1));
          expect(packed.slice(start, end).equals(whole.subarray(start, end))).toBe(true);
        }
      }),
      { numRuns: 30 },
    );
  });

  it("take little memory where they are much alike", () => {
    const packed = new PackedBytes();
    for (let at = 0; at < 20_000; at++) packed.append(Buffer.alloc(1024, `usr/share/doc/package-${at}/copyright`));
    expect(packed.packedSize).toBeLessThan(packed.size / 10);
  });
});
