/** What the encoder makes is what Apple's readers take, and comes back as it was. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { anyContent, inPieces, mixedContent, pieceLengths } from "../../../test/codec/apple-lz4/content.ts";
import { blocksOf, decodeWithLz4 } from "../../../test/codec/apple-lz4/frames.ts";
import { decodePlainly } from "../../../test/codec/apple-lz4/reference.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { decodeAppleLz4 } from "./decoder.ts";
import { AppleLz4Encoder, encodeAppleLz4 } from "./encoder.ts";

async function encode(bytes: Uint8Array, lengths: readonly number[] = [1 << 30]): Promise<Buffer> {
  const source = (async function* () {
    yield* inPieces(bytes, lengths);
  })();
  return concat(encodeAppleLz4(source));
}

async function concat(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const copies: Buffer[] = [];
  for await (const piece of pieces) copies.push(Buffer.from(piece));
  return Buffer.concat(copies);
}

async function decode(bytes: Uint8Array): Promise<Buffer> {
  const source = (async function* () {
    yield bytes;
  })();
  return concat(decodeAppleLz4(source));
}

describe("encodeAppleLz4", () => {
  it("makes the same bytes however they come, which decode to what they were", async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, pieceLengths, async (content, lengths) => {
        const bytes = await encode(content, lengths);
        expect(bytes.equals(await encode(content))).toBe(true);
        expect(decodePlainly(bytes)?.equals(content)).toBe(true);
        expect((await decode(bytes)).equals(content)).toBe(true);
      }),
      { numRuns: 60 },
    );
  });

  it.skipIf(findPeer("lz4") === undefined)("is read by lz4", async () => {
    await fc.assert(
      fc.asyncProperty(anyContent, async (content) => {
        expect(decodeWithLz4(await encode(content)).equals(content)).toBe(true);
      }),
      { numRuns: 40 },
    );
    // Longer than the encoder's memory, so that its window moves.
    const long = mixedContent(3_000_000, 7);
    expect(decodeWithLz4(await encode(long)).equals(long)).toBe(true);
  });

  it("writes blocks of 64 KiB, stored where encoding saves nothing, and the end alone for nothing", async () => {
    const noise = crypto.getRandomValues(new Uint8Array(65_536));
    const blocks = blocksOf(await encode(Buffer.concat([noise, Buffer.alloc(65_536), noise.subarray(0, 5000)])));
    expect(blocks.map(({ kind, decoded }) => [kind, decoded])).toEqual([
      ["bv4-", 65_536],
      ["bv41", 65_536],
      ["bv4-", 5000],
    ]);
    expect((await encode(new Uint8Array())).toString()).toBe("bv4$");
  });

  it("refers to what earlier blocks hold, also stored ones", async () => {
    const noise = crypto.getRandomValues(new Uint8Array(65_536));
    const [first, second] = blocksOf(await encode(Buffer.concat([noise, noise.subarray(30_000)])));
    expect(first?.kind).toBe("bv4-");
    expect(second?.body.length).toBeLessThan(20_000);
  });

  it("keeps the ends of blocks as the format wants them: five literals, and no match begins in twelve bytes", async () => {
    for (let length = 0; length < 40; length++) {
      const [block] = blocksOf(await encode(new Uint8Array(length)));
      if (block?.kind !== "bv41") continue;
      // Of the last sequence: a token without a match, and its literals.
      expect(block.body[block.body.length - 6]).toBe(0x50);
      expect(length).toBeGreaterThan(12);
    }
  });
});

describe("cut", () => {
  it("makes pieces that decode by themselves, and one stream together", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyContent, { minLength: 1, maxLength: 5 }), async (contents) => {
        const encoder = new AppleLz4Encoder();
        const parts: Buffer[] = [];
        for (const content of contents) {
          const pieces: Buffer[] = [];
          for (const piece of encoder.write(content)) pieces.push(Buffer.from(piece));
          for (const piece of encoder.cut()) pieces.push(Buffer.from(piece));
          parts.push(Buffer.concat(pieces));
        }
        const [end = Buffer.alloc(0)] = encoder.end();
        expect(encoder.size).toBe(parts.reduce((sum, { length }) => sum + length, end.length));
        for (const [at, part] of parts.entries()) {
          expect((await decode(Buffer.concat([part, end]))).equals(contents[at]!)).toBe(true);
        }
        expect((await decode(Buffer.concat([...parts, end]))).equals(Buffer.concat(contents))).toBe(true);
      }),
      { numRuns: 30 },
    );
  });
});
