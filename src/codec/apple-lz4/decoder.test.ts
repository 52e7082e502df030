/** The decoder against bytes that others made, against a plain one, and against those who mean harm. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyContent, inPieces, mixedContent, pieceLengths } from "../../../test/codec/apple-lz4/content.ts";
import { blocksOf, encodeWithLz4 } from "../../../test/codec/apple-lz4/frames.ts";
import { decodePlainly } from "../../../test/codec/apple-lz4/reference.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { AppleLz4Decoder, decodeAppleLz4, type AppleLz4DecoderOptions } from "./decoder.ts";
import { AppleLz4Encoder } from "./encoder.ts";

function decode(
  bytes: Uint8Array,
  options: AppleLz4DecoderOptions = {},
  lengths: readonly number[] = [1 << 30],
): Buffer {
  const decoder = new AppleLz4Decoder(options);
  const pieces: Buffer[] = [];
  for (const piece of inPieces(bytes, lengths)) for (const out of decoder.write(piece)) pieces.push(Buffer.from(out));
  decoder.end();
  return Buffer.concat(pieces);
}

function encode(bytes: Uint8Array): Buffer {
  const encoder = new AppleLz4Encoder();
  const pieces: Buffer[] = [];
  for (const piece of encoder.write(bytes)) pieces.push(Buffer.from(piece));
  for (const piece of encoder.end()) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const golden = (name: string): Buffer =>
  readFileSync(join(import.meta.dirname, "../../../test/codec/apple-lz4/golden", name));

const word = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
const END = Buffer.from("bv4$");
const block = (decoded: number, body: Uint8Array, encoded = body.length): Buffer =>
  Buffer.concat([Buffer.from("bv41"), word(decoded), word(encoded), body]);
const stored = (body: Uint8Array, size = body.length): Buffer => Buffer.concat([Buffer.from("bv4-"), word(size), body]);

describe("Apple LZ4 that others made", () => {
  it("decodes what macOS writes for a short text", () => {
    const text = "Hello, World!\n";
    const bytes = Buffer.concat([stored(Buffer.from(text)), END]);
    expect(bytes).toHaveLength(26);
    expect(decode(bytes, { size: 14 }).toString()).toBe(text);
  });

  // Made by encodeWithLz4(content, ...) with liblz4 1.9.4.
  it.each([
    { name: "blocks-64k.lz4a", content: () => mixedContent(300_000, 1), blockBytes: 65_536 },
    { name: "blocks-4k.lz4a", content: () => mixedContent(150_000, 2), blockBytes: 4096 },
  ])("decodes $name, whose matches reach across blocks, in pieces of any size", ({ name, content, blockBytes }) => {
    const bytes = golden(name);
    const blocks = blocksOf(bytes);
    expect(blocks.length).toBe(Math.ceil(content().length / blockBytes));
    // Each block by itself would not do: what it refers to lies before it.
    const alone = blocks.map(({ decoded, body }) => Buffer.concat([block(decoded, body), END]));
    expect(alone.slice(1).every((one) => decodePlainly(one) === undefined)).toBe(true);
    for (const lengths of [[1 << 30], [1], [4096, 3], [65_536]]) {
      expect(decode(bytes, { size: content().length }, lengths).equals(content())).toBe(true);
    }
  });

  it.skipIf(findPeer("lz4") === undefined)("decodes what lz4 makes of anything", () => {
    fc.assert(
      fc.property(
        anyContent,
        fc.constantFrom(64, 4096, 65_536),
        fc.constantFrom(1, 9),
        (content, blockBytes, level) => {
          const bytes = encodeWithLz4(content, blockBytes, level);
          expect(decode(bytes, { size: content.length }).equals(content)).toBe(true);
        },
      ),
      { numRuns: 40 },
    );
  });
});

describe("matches", () => {
  // 16 literals, a match, and the five literals that end a block.
  const start = Buffer.from("0123456789abcdef");
  const withMatch = (distance: number, length: number): Buffer => {
    const more = length - 4 - 15;
    const extension = more < 0 ? [] : [...Buffer.alloc(more / 255, 255), more % 255];
    const token = 0xf0 | Math.min(15, length - 4);
    const body = [token, 1, ...start, distance & 255, distance >> 8, ...extension, 0x50, ...Buffer.from("VWXYZ")];
    return block(16 + length + 5, Uint8Array.from(body));
  };

  it("repeat any period, at any length", () => {
    for (let distance = 1; distance <= 16; distance++) {
      for (const length of [4, 5, 7, 8, 15, 16, 17, 31, 33, 64, 273, 274, 60_000]) {
        const bytes = Buffer.concat([withMatch(distance, length), END]);
        const repeated = Buffer.alloc(length, start.subarray(16 - distance));
        expect(decode(bytes).equals(Buffer.concat([start, repeated, Buffer.from("VWXYZ")]))).toBe(true);
      }
    }
  });

  it("reach 65,535 bytes back, also into stored blocks, and not before the first byte", () => {
    const before = mixedContent(65_535 - 16, 3);
    const made = decode(Buffer.concat([stored(before), withMatch(65_535, 100), END]));
    expect(made.subarray(65_535, 65_635).equals(Buffer.concat([before, start]).subarray(0, 100))).toBe(true);
    const short = Buffer.concat([stored(before.subarray(1)), withMatch(65_535, 100), END]);
    expect(() => decode(short)).toThrow(/before the first byte/);
    expect(() => decode(Buffer.concat([withMatch(17, 4), END]))).toThrow(/before the first byte/);
    expect(() => decode(Buffer.concat([withMatch(0, 4), END]))).toThrow(/before the first byte/);
  });

  it("do not reach into another stream, or what was there before a larger block", () => {
    const other = Buffer.concat([stored(mixedContent(100, 3)), END, withMatch(17, 4)]);
    expect(() => decode(other, { cut: true })).toThrow(/before the first byte/);
    // Larger than the room that there is at first.
    const large = encodeLarge(3_000_000);
    const bytes = Buffer.concat([stored(start), large, withMatch(16, 4), END]);
    expect(decode(bytes)).toHaveLength(16 + 3_000_000 + 25);
  });
});

/** One block of a run. */
function encodeLarge(bytes: number): Buffer {
  const more = bytes - 1 - 5 - 4 - 15;
  const body = [0x1f, 7, 1, 0, ...Buffer.alloc(more / 255, 255), more % 255, 0x50, 7, 7, 7, 7, 7];
  return block(bytes, Uint8Array.from(body));
}

describe("where decoding can begin and end", () => {
  it("is behind every block, with what came out before it", () => {
    const content = mixedContent(300_000, 4);
    const bytes = encode(content);
    const decoder = new AppleLz4Decoder();
    const borders = new Map<number, number>();
    for (const piece of inPieces(bytes, [300])) {
      for (const _ of decoder.write(piece));
      borders.set(decoder.border.encoded, decoder.border.decoded);
    }
    expect(borders.size).toBeGreaterThan(4);
    expect(decoder.ended).toBe(true);
    for (const [encoded, decoded] of borders) {
      const history = content.subarray(Math.max(0, decoded - 65_536), decoded);
      const rest = decode(bytes.subarray(encoded), { history, cut: true });
      expect(rest.equals(content.subarray(decoded))).toBe(true);
      expect(decode(bytes.subarray(0, encoded), { cut: true }).length).toBe(decoded);
    }
  });
});

describe("Apple LZ4 that is broken", () => {
  const good = encode(mixedContent(100_000, 5));

  it.each<[string, Uint8Array, RegExp]>([
    ["nothing", Buffer.alloc(0), /cut short/],
    ["no end", stored(Buffer.from("abc")), /cut short/],
    ["another format", Buffer.from("04224d184040c0", "hex"), /byte 0: no block/],
    ["LZFSE", Buffer.from("bvx-aaaaaaaa"), /no block/],
    ["something behind the end", Buffer.concat([END, Buffer.from("b")]), /follows its end/],
    ["a stream behind the end", Buffer.concat([END, END]), /follows its end/],
    ["a block of 5 MiB", block(5 << 20, Buffer.alloc(100)), /said to have 5242880 bytes/],
    ["a block of 4 GiB", block(0xffffffff, Buffer.alloc(100)), /said to have 4294967295 bytes/],
    ["more encoded bytes than there can be", block(10, Buffer.alloc(0), 100_000), /100000 encoded/],
    ["no encoded bytes", block(10, Buffer.alloc(0)), /0 encoded/],
    ["too many literals", Buffer.concat([block(4, Buffer.from("Pabcde")), END]), /literals beyond/],
    ["too few literals", Buffer.concat([block(6, Buffer.from("Pabcde")), END]), /shorter than it says/],
    ["literals cut short", Buffer.concat([block(6, Buffer.from("Pabcd")), END]), /block is cut short/],
    ["an endless length", Buffer.concat([block(400, Buffer.alloc(400, 255)), END]), /block is cut short/],
    [
      "a match that is last",
      Buffer.concat([block(8, Uint8Array.of(0x40, 1, 2, 3, 4, 1, 0)), END]),
      /block is cut short/,
    ],
    ["half a distance", Buffer.concat([block(8, Uint8Array.of(0x40, 1, 2, 3, 4, 1)), END]), /block is cut short/],
    ["a match too long", Buffer.concat([block(8, Uint8Array.of(0x1f, 1, 1, 0, 200, 0)), END]), /match beyond/],
  ])("is refused: %s", (_, bytes, message) => {
    for (const lengths of [[1 << 30], [1]]) {
      let error: unknown;
      try {
        decode(bytes, {}, lengths);
      } catch (thrown) {
        error = thrown;
      }
      expect(error).toMatchObject({ code: "COMPRESSION_INVALID", message: expect.stringMatching(message) as string });
    }
  });

  it("is refused wherever it is cut", () => {
    for (let end = 0; end < good.length; end += 97) {
      expect(() => decode(good.subarray(0, end))).toThrow(expect.objectContaining({ code: "COMPRESSION_INVALID" }));
    }
  });

  it("is refused when other than the announced number of bytes comes out, before more of them do", () => {
    const mismatch = expect.objectContaining({ code: "SIZE_MISMATCH" });
    expect(() => decode(good, { size: 100_001 })).toThrow(mismatch);
    expect(() => decode(good, { size: 99_999 })).toThrow(mismatch);
    expect(() => decode(good, { atMost: 99_999 })).toThrow(mismatch);
    expect(decode(good, { atMost: 100_000 })).toHaveLength(100_000);
    const decoder = new AppleLz4Decoder({ atMost: 70_000 });
    expect(() => [...decoder.write(good)]).toThrow(mismatch);
    expect(decoder.size).toBe(65_536);
    const endless = new AppleLz4Decoder({ atMost: 1000 });
    expect(() => [...endless.write(stored(Buffer.alloc(0), 0xffffffff))]).toThrow(mismatch);
  });

  it("never makes anything else than a plain decoder does", () => {
    const sources = [good, golden("blocks-4k.lz4a").subarray(0, 30_000), encodeLarge(300_000)];
    fc.assert(
      fc.property(
        fc.constantFrom(...sources),
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 }),
        pieceLengths,
        (source, changes, lengths) => {
          const bytes = Buffer.concat([source, END]);
          // Headers are spoilt as often as all the rest.
          for (const [at, value] of changes) bytes[at % (value % 2 === 0 ? bytes.length : 40)] = value;
          let made: Buffer | undefined;
          try {
            made = decode(bytes, { atMost: 1 << 20 }, lengths);
          } catch (error) {
            expect(isVarveError(error, "COMPRESSION_INVALID") || isVarveError(error, "SIZE_MISMATCH")).toBe(true);
          }
          if (made !== undefined) expect(decodePlainly(bytes)?.equals(made)).toBe(true);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("decodeAppleLz4", () => {
  it("passes on what its source throws, and stops at the signal", async () => {
    const failing = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from("bv4-");
      throw new Error("the source broke");
    };
    await expect(Array.fromAsync(decodeAppleLz4(failing()))).rejects.toThrow("the source broke");
    const endless = (): AsyncIterable<Uint8Array> => ({
      [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => undefined) }),
    });
    const stop = AbortSignal.abort(new Error("stopped"));
    await expect(Array.fromAsync(decodeAppleLz4(endless(), { signal: stop }))).rejects.toThrow("stopped");
  });
});
