/** The same content has the same pieces wherever it stands, each can be decoded alone, and an index that lies in what it can be held to is refused. */
import { hash, randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { AppleLz4Decoder } from "../apple-lz4/decoder.ts";
import { readChunkIndex, writeChunkIndex, type ChunkIndex } from "./chunk-index.ts";
import { ChunkPieces } from "./chunk-pieces.ts";
import { DiskChunker, FULL_BYTES, type DiskPiece } from "./disk-chunker.ts";
import { largestIndex, MOST_PIECE_BYTES, UNIT_BYTES } from "./format.ts";
import { IndexedEncoder } from "./indexed-encoder.ts";

interface Cut {
  readonly start: number;
  readonly size: number;
  readonly digest: string | undefined;
}

function cutsOf(disk: Uint8Array, offset = 0, parts: readonly number[] = [disk.length]): Cut[] {
  const chunker = new DiskChunker(offset);
  const cuts: Cut[] = [];
  let start = 0;
  const take = (pieces: Iterable<DiskPiece>): void => {
    for (const { size, bytes } of pieces) {
      expect(bytes === undefined || bytes.length === size).toBe(true);
      cuts.push({ start, size, digest: bytes && hash("sha256", bytes) });
      start += size;
    }
  };
  let at = 0;
  for (let turn = 0; at < disk.length; turn++) {
    const part = disk.subarray(at, at + Math.max(1, parts[turn % parts.length]!));
    take(chunker.write(part));
    at += part.length;
  }
  take(chunker.end());
  expect(start).toBe(disk.length);
  return cuts;
}

function indexOf(content: Uint8Array, offset = 0): { readonly index: ChunkIndex; readonly blob: Buffer } {
  const encoder = new IndexedEncoder({ offset });
  const parts: Buffer[] = [];
  for (const part of encoder.write(content)) parts.push(Buffer.from(part));
  for (const part of encoder.end()) parts.push(Buffer.from(part));
  const blob = Buffer.concat(parts);
  expect(encoder.size).toBe(blob.length);
  const of = (bytes: Uint8Array): { digest: Digest; size: number } => ({ digest: digestOf(bytes), size: bytes.length });
  return { index: { blob: of(blob), content: of(content), pieces: encoder.pieces }, blob };
}

/** Blocks of a disk: zeros, bytes that compress, and others. */
const blocks = fc
  .array(fc.tuple(fc.nat({ max: 4 }), fc.integer({ min: 1, max: 30 })), { maxLength: 12 })
  .map((runs) =>
    Buffer.concat(
      runs.flatMap(([kind, count]) =>
        kind === 0
          ? [Buffer.alloc(count * UNIT_BYTES)]
          : Array.from({ length: count }, (_, at) => Buffer.alloc(UNIT_BYTES, `content ${kind} of ${at}\n`)),
      ),
    ),
  );

function decoded(blob: Uint8Array, options: { readonly cut: boolean }): Buffer {
  const decoder = new AppleLz4Decoder(options);
  const parts: Buffer[] = [];
  for (const part of decoder.write(blob)) parts.push(Buffer.from(part));
  decoder.end();
  return Buffer.concat(parts);
}

async function reading(bytes: Uint8Array, { blob, content }: ChunkIndex, step = bytes.length): Promise<ChunkPieces> {
  const steps = Array.from({ length: Math.ceil(bytes.length / Math.max(1, step)) }, (_, at) =>
    bytes.subarray(at * step, (at + 1) * step),
  );
  return readChunkIndex(steps, { blob, content });
}

describe("DiskChunker", () => {
  it("makes the same pieces however the bytes come, with holes told or written", () => {
    fc.assert(
      fc.property(
        blocks,
        fc.nat({ max: 9000 }),
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }),
        (disk, extra, parts) => {
          const all = Buffer.concat([disk, Buffer.alloc(extra, extra % 3)]);
          const cuts = cutsOf(all, extra);
          expect(cutsOf(all, extra, parts)).toEqual(cuts);
          for (const [at, { start, size, digest }] of cuts.entries()) {
            const bytes = all.subarray(start, start + size);
            expect(digest === undefined).toBe(bytes.every((byte) => byte === 0));
            if (digest !== undefined) expect(size).toBeLessThanOrEqual(FULL_BYTES);
            if (at > 0) expect((start + extra) % UNIT_BYTES).toBe(0);
          }
        },
      ),
      { numRuns: 60 },
    );
    fc.assert(
      fc.property(fc.nat({ max: 20_000 }), fc.nat({ max: 40_000 }), fc.nat({ max: 20_000 }), (before, hole, after) => {
        const [head, tail] = [Buffer.alloc(before, 1), Buffer.alloc(after, 2)];
        const chunker = new DiskChunker(before);
        const sizes: number[] = [];
        for (const pieces of [chunker.write(head), chunker.skip(hole), chunker.write(tail), chunker.end()])
          for (const { size } of pieces) sizes.push(size);
        expect(sizes).toEqual(cutsOf(Buffer.concat([head, Buffer.alloc(hole), tail]), before).map(({ size }) => size));
      }),
      { numRuns: 60 },
    );
  });

  it("finds moved content again, and loses little around a block that changed", () => {
    const disk = randomBytes(8 << 20);
    const known = new Set(cutsOf(disk).map(({ digest }) => digest));
    const moved = Buffer.concat([randomBytes(5 * UNIT_BYTES), disk.subarray(0, 6 << 20)]);
    const lost = cutsOf(moved).reduce((sum, { digest, size }) => sum + (known.has(digest) ? 0 : size), 0);
    expect(lost).toBeLessThan(5 * UNIT_BYTES + 4 * FULL_BYTES);
    const changed = Buffer.from(disk);
    changed[3 << 20]! ^= 1;
    const missed = cutsOf(changed).reduce((sum, { digest, size }) => sum + (known.has(digest) ? 0 : size), 0);
    expect(missed).toBeLessThan(4 * FULL_BYTES);
  });
});

describe("IndexedEncoder", () => {
  it("makes a stream like any other, of which each piece can be decoded alone", () => {
    fc.assert(
      fc.property(blocks, fc.nat({ max: 5000 }), (disk, offset) => {
        const { index, blob } = indexOf(disk, offset);
        expect(decoded(blob, { cut: false }).equals(disk)).toBe(true);
        const { pieces } = index;
        for (let piece = 0; piece < pieces.length; piece++) {
          const bytes = decoded(blob.subarray(pieces.offset(piece), pieces.end(piece)), { cut: true });
          expect(bytes.length).toBe(pieces.size(piece));
          expect(pieces.digest(piece) ?? "zeros").toBe(bytes.every((byte) => byte === 0) ? "zeros" : digestOf(bytes));
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("the index of a chunk", () => {
  it("is read as it was written, however it comes, and is small", async () => {
    await fc.assert(
      fc.asyncProperty(blocks, fc.integer({ min: 1, max: 500 }), async (disk, step) => {
        const { index } = indexOf(disk);
        const bytes = writeChunkIndex(index);
        expect(bytes.length).toBeLessThanOrEqual(128 + 45 * index.pieces.length);
        expect(bytes.length).toBeLessThanOrEqual(largestIndex(disk.length));
        const pieces = await reading(bytes, index, step);
        expect(writeChunkIndex({ ...index, pieces }).equals(bytes)).toBe(true);
      }),
      { numRuns: 40 },
    );
  });

  it("is refused when it is of another chunk, cut short, goes on, or is of no sense", async () => {
    const { index } = indexOf(Buffer.concat([randomBytes(200_000), Buffer.alloc(50_000), randomBytes(100)]));
    const bytes = writeChunkIndex(index);
    const other = indexOf(randomBytes(100)).index;
    for (const end of [0, 7, 8, 50, 90, bytes.length - 1]) {
      await expect(reading(bytes.subarray(0, end), index)).rejects.toMatchObject({ code: "TOC_INVALID" });
    }
    await expect(reading(Buffer.concat([bytes, Buffer.alloc(1)]), index)).rejects.toThrow(/behind its end/);
    await expect(reading(bytes, { ...index, blob: other.blob })).rejects.toThrow(/another blob/);
    await expect(reading(bytes, { ...index, content: other.content })).rejects.toThrow(/another content/);
    const lying = (make: (pieces: ChunkPieces) => void): Promise<ChunkPieces> => {
      const pieces = new ChunkPieces();
      make(pieces);
      return reading(writeChunkIndex({ ...index, pieces }), index);
    };
    const digest = Buffer.alloc(32, 1);
    const { content, blob } = index;
    await expect(lying((pieces) => pieces.push(content.size, 9, digest))).rejects.toThrow(/blocks of 9/);
    await expect(lying((pieces) => pieces.push(9, blob.size - 4, digest))).rejects.toThrow(/pieces of 9/);
    await expect(lying((pieces) => pieces.push(content.size + 1, 9, digest))).rejects.toThrow(/more than its chunk/);
    await expect(lying((pieces) => pieces.push(1, blob.size + 1, digest))).rejects.toThrow(/more than its chunk/);
    await expect(lying((pieces) => pieces.push(0, 9, digest))).rejects.toThrow(/nothing/);
    await expect(lying((pieces) => pieces.push(5, 0, digest))).rejects.toThrow(/nothing/);
    await expect(lying((pieces) => pieces.push(MOST_PIECE_BYTES + 1, 9, digest))).rejects.toThrow(/nobody/);
    const zeros = (pieces: ChunkPieces): void => {
      for (let run = 0; run < 2; run++) pieces.push(4096, 9, undefined);
    };
    await expect(lying(zeros)).rejects.toThrow(/nobody/);
  });

  it("takes numbers in one form, and no more pieces than it has memory for", async () => {
    const { index } = indexOf(randomBytes(100));
    const bytes = writeChunkIndex(index);
    // What follows the two digests and sizes: how many pieces there are.
    const at = 8 + 2 * 32 + bytes.subarray(40).findIndex((byte) => byte < 0x80) + 1 + 1;
    expect(bytes[at]).toBe(1);
    const put = (...count: number[]): Buffer =>
      Buffer.concat([bytes.subarray(0, at), Buffer.from(count), bytes.subarray(at + 1)]);
    await expect(reading(put(0x81, 0x00), index)).rejects.toThrow(/longer than they need be/);
    await expect(reading(put(0xff, 0xff, 0xff, 0x7f), index)).rejects.toMatchObject({ code: "TOC_LIMIT" });
    await expect(reading(put(...Array<number>(9).fill(0xff)), index)).rejects.toThrow(/absurd/);
    const asked: number[] = [];
    const reserve = (pieces: number): boolean => asked.push(pieces) === 0;
    await expect(readChunkIndex([bytes], { ...index, reserve })).rejects.toMatchObject({ code: "TOC_LIMIT" });
    expect(asked).toEqual([1]);
  });

  it("never breaks on any bytes", async () => {
    const { index } = indexOf(Buffer.concat([randomBytes(90_000), Buffer.alloc(8192), randomBytes(5000)]));
    const bytes = writeChunkIndex(index);
    const known = [...Array(index.pieces.length).keys()].map((piece) => index.pieces.digest(piece));
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.length - 1 }), fc.nat({ max: 255 }), async (at, value) => {
        const damaged = Buffer.from(bytes);
        damaged[at] = value;
        const pieces = await reading(damaged, index).catch((error: { code: string }) => error.code);
        if (typeof pieces === "string") {
          expect(pieces).toMatch(/^TOC_/);
          return;
        }
        // What it cannot be held to are the digests, and where pieces begin and end.
        expect(pieces.contentBytes).toBe(index.content.size);
        expect(pieces.length).toBe(known.length);
      }),
      { numRuns: 300 },
    );
  });
});
