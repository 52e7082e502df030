import { zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FrameCompressor } from "./frame-compressor.ts";
import { ZstdFrameWalker } from "./frame-walker.ts";

const content = fc.oneof(
  fc.uint8Array({ maxLength: 3000 }),
  fc.tuple(fc.string({ maxLength: 40 }), fc.nat({ max: 5000 })).map(([text, times]) => Buffer.from(text.repeat(times))),
  fc.nat({ max: 1 << 20 }).map((length) => new Uint8Array(length)),
);

describe("frames of zstd", () => {
  it("are the same whether one engine makes them all or each has its own", () => {
    fc.assert(
      fc.property(fc.constantFrom(1, 3, 9), fc.array(content, { minLength: 1, maxLength: 6 }), (level, contents) => {
        using one = new FrameCompressor({ level });
        using many = new FrameCompressor({ level, reuse: false });
        expect([one.reuses, many.reuses]).toEqual([true, false]);
        for (const bytes of contents) {
          const frame = Buffer.from(one.compress(bytes));
          expect(frame.equals(many.compress(bytes))).toBe(true);
          expect(zstdDecompressSync(frame).equals(bytes)).toBe(true);
          const walker = new ZstdFrameWalker();
          walker.write(frame);
          walker.end();
        }
      }),
      { numRuns: 60 },
    );
  });

  it("may be larger than what is in them", () => {
    using compressor = new FrameCompressor({ level: 3 });
    const noise = crypto.getRandomValues(new Uint8Array(65_536));
    const frame = Buffer.from(compressor.compress(noise));
    expect(frame.length).toBeGreaterThan(noise.length);
    expect(zstdDecompressSync(frame).equals(noise)).toBe(true);
  });
});
