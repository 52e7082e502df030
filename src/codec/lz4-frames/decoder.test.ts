/** LZ4 frames, as the `lz4` program writes them and as those who mean harm do. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyContent, inPieces, mixedContent, pieceLengths } from "../../../test/codec/apple-lz4/content.ts";
import { lz4Frame, runLz4 } from "../../../test/codec/apple-lz4/frames.ts";
import { appleLz4 } from "../../../test/kit/disk/tart-image.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { decodeLz4Frames, Lz4FramesDecoder } from "./decoder.ts";

function decode(bytes: Uint8Array, lengths: readonly number[] = [1 << 30], size?: number): Buffer {
  const decoder = new Lz4FramesDecoder(size === undefined ? {} : { size });
  const pieces: Buffer[] = [];
  for (const piece of inPieces(bytes, lengths)) for (const out of decoder.write(piece)) pieces.push(Buffer.from(out));
  decoder.end();
  return Buffer.concat(pieces);
}

const frame = (content: Uint8Array): Buffer => lz4Frame(appleLz4(content));
const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(" ", ""), "hex");
const HEADER = "04224d18 4040c0";
const SKIPPABLE = bytes("5a2a4d18 03000000 aabbcc");

describe("LZ4 frames", () => {
  it.skipIf(findPeer("lz4") === undefined)("are read as lz4 writes them, with all it can add", () => {
    const options = fc.subarray(["-BD", "-BX", "--content-size", "--no-frame-crc"]);
    const size = fc.constantFrom("-B4", "-B5", "-B7");
    fc.assert(
      fc.property(anyContent, options, size, pieceLengths, (content, added, blockSize, lengths) => {
        const made = runLz4(["-c", blockSize, ...added], content);
        expect(decode(made, lengths, content.length).equals(content)).toBe(true);
      }),
      { numRuns: 50 },
    );
    const long = mixedContent(9_000_000, 3);
    expect(decode(runLz4(["-c", "-B7"], long), [100_000]).equals(long)).toBe(true);
  });

  it("may follow each other, with what is skipped between them", () => {
    const [one, two] = [mixedContent(200_000, 1), mixedContent(70_000, 2)];
    const made = Buffer.concat([SKIPPABLE, frame(one), frame(Buffer.alloc(0)), SKIPPABLE, frame(two), SKIPPABLE]);
    fc.assert(
      fc.property(pieceLengths, (lengths) => {
        expect(decode(made, lengths).equals(Buffer.concat([one, two]))).toBe(true);
      }),
      { numRuns: 10 },
    );
    expect(decode(Buffer.alloc(0))).toHaveLength(0);
  });

  it.each<[string, Buffer, RegExp]>([
    ["another format", Buffer.from("bv41bv41"), /byte 0: no LZ4 frame/],
    ["the old format", bytes("02214c18 00000000"), /no LZ4 frame/],
    ["another version", bytes("04224d18 8040c0"), /no known kind/],
    ["reserved flags", bytes("04224d18 4240c0"), /no known kind/],
    ["blocks of no size", bytes("04224d18 4030c0"), /no known kind/],
    ["a dictionary", bytes("04224d18 4140 00000000 c0"), /dictionary/],
    ["blocks that are too large", bytes(`${HEADER} 01000100`), /65537 bytes/],
    ["stored blocks that are too large", bytes(`${HEADER} 01000180`), /65537 bytes/],
    ["stored blocks of nothing", bytes(`${HEADER} 00000080`), /0 bytes/],
    ["a block cut short", bytes(`${HEADER} 02000000 50 41`), /block is cut short/],
    ["a match before the first byte", bytes(`${HEADER} 05000000 10 41 0200 00`), /before the first byte/],
    ["a block of more than may be", bytes(`${HEADER} 0a000000 1f 41 0100 ffffffff ff 00`), /block is cut short|beyond/],
    ["another size than is said", bytes("04224d18 4840 0500000000000000 c0 01000080 41 00000000"), /1 instead of 5/],
    ["no end", frame(Buffer.from("abc")).subarray(0, -1), /cut short/],
    ["something behind them", Buffer.concat([frame(Buffer.from("abc")), Buffer.from("junk")]), /no LZ4 frame/],
  ])("are refused: %s", (_, made, message) => {
    for (const lengths of [[1 << 30], [1]]) {
      const refused = { code: "COMPRESSION_INVALID", message: expect.stringMatching(message) as string };
      expect(() => decode(made, lengths)).toThrow(expect.objectContaining(refused));
    }
  });

  it("do not reach into other frames, or other blocks where these stand alone", () => {
    const reaching = bytes("04000000 00 0100 00");
    const stored = bytes("01000080 41");
    const linked = Buffer.concat([bytes(HEADER), stored, reaching, Buffer.alloc(4)]);
    expect(decode(linked).toString()).toBe("AAAAA");
    const alone = Buffer.concat([bytes("04224d18 604082"), stored, reaching, Buffer.alloc(4)]);
    expect(() => decode(alone)).toThrow(/before the first byte/);
    const other = Buffer.concat([bytes(HEADER), stored, Buffer.alloc(4), bytes(HEADER), reaching, Buffer.alloc(4)]);
    expect(() => decode(other)).toThrow(/before the first byte/);
  });

  it("are refused when other than the announced number of bytes comes out", () => {
    const made = frame(mixedContent(100_000, 5));
    const mismatch = expect.objectContaining({ code: "SIZE_MISMATCH" });
    expect(() => decode(made, [1000], 99_999)).toThrow(mismatch);
    expect(() => decode(made, [1000], 100_001)).toThrow(mismatch);
  });

  it("never fail in another way", () => {
    const good = Buffer.concat([frame(mixedContent(30_000, 6)), frame(mixedContent(100, 7))]);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { minLength: 1, maxLength: 4 }), (changes) => {
        const made = Buffer.from(good);
        for (const [at, value] of changes) made[at % (value % 2 === 0 ? made.length : 30)] = value;
        try {
          decode(made, [777], 30_100);
        } catch (error) {
          expect(isVarveError(error, "COMPRESSION_INVALID") || isVarveError(error, "SIZE_MISMATCH")).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  });

  it("stop at the signal", async () => {
    const source = (async function* () {
      yield frame(Buffer.from("abc"));
    })();
    const signal = AbortSignal.abort(new Error("stopped"));
    await expect(Array.fromAsync(decodeLz4Frames(source, { signal }))).rejects.toThrow("stopped");
  });
});
