import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Chunker, chunksOf, type FileChunk } from "./chunker.ts";

/** The rule byte by byte, as formats "zstd-chunked" §1.4 has it. */
function byTheBook(bytes: Uint8Array): FileChunk[] {
  const chunks: FileChunk[] = [];
  const window = new Uint8Array(64);
  let s1 = 1984;
  let s2 = 124_992;
  let position = 0;
  let start = 0;
  const roll = (byte: number): boolean => {
    const gone = window[position]!;
    s1 = (s1 + byte - gone) >>> 0;
    s2 = (s2 + s1 - 64 * (gone + 31)) >>> 0;
    window[position] = byte;
    position = (position + 1) % 64;
    return (s2 & 0xffff) === 0xffff;
  };
  const cut = (end: number, zeros: boolean): void => {
    if (end > start) chunks.push({ start, length: end - start, zeros });
    start = end;
  };
  for (let at = 0; at < bytes.length;) {
    let zeros = 0;
    while (at + zeros < bytes.length && bytes[at + zeros] === 0) zeros++;
    if (zeros >= 1024) {
      cut(at, false);
      for (let i = 0; i < zeros; i++) roll(0);
      at += zeros;
      cut(at, true);
      continue;
    }
    for (const end = at + Math.max(1, zeros); at < end; at++) if (roll(bytes[at]!)) cut(at + 1, false);
  }
  cut(bytes.length, false);
  return chunks;
}

function inPieces(bytes: Uint8Array, sizes: readonly number[]): FileChunk[] {
  const chunks: FileChunk[] = [];
  let start = 0;
  const chunker = new Chunker((end, zeros) => {
    chunks.push({ start, length: end - start, zeros });
    start = end;
  });
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % sizes.length] ?? bytes.length);
    chunker.write(bytes.subarray(at, at + size));
    at = Math.min(bytes.length, at + size);
    expect(chunker.settled + chunker.pending).toBe(at);
  }
  chunker.end();
  return chunks;
}

/** Bytes that look random, always the same. */
function noise(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state >>> 24;
  });
}

const piece = fc.oneof(
  fc.nat({ max: 3000 }).map((length) => new Uint8Array(length)),
  fc.constantFrom(1022, 1023, 1024, 1025, 2047, 2048).map((length) => new Uint8Array(length)),
  fc.uint8Array({ maxLength: 300 }),
  fc.tuple(fc.nat({ max: 20_000 }), fc.nat()).map(([length, seed]) => noise(length, seed)),
);
const file = fc.array(piece, { maxLength: 8 }).map((parts) => new Uint8Array(Buffer.concat(parts)));

describe("chunks of a file", () => {
  it("are those of the rule, whatever pieces the file comes in", () => {
    fc.assert(
      fc.property(file, fc.array(fc.integer({ min: 1, max: 5000 }), { minLength: 1, maxLength: 5 }), (bytes, sizes) => {
        const expected = byTheBook(bytes);
        expect(chunksOf(bytes)).toEqual(expected);
        expect(inPieces(bytes, sizes)).toEqual(expected);
      }),
      { numRuns: 150 },
    );
  });

  it("are cut where they always were", () => {
    const ends = chunksOf(noise(1 << 20, 1)).map(({ start, length }) => start + length);
    expect(ends).toEqual(GOLDEN);
    expect(ends).toEqual(byTheBook(noise(1 << 20, 1)).map(({ start, length }) => start + length));
  });

  it("are 64 KiB on average", () => {
    const { length } = chunksOf(noise(1 << 23, 7));
    expect(length).toBeGreaterThan(90);
    expect(length).toBeLessThan(170);
  });

  it("end before a run of 1024 zeros and not before one of 1023", () => {
    const one = Uint8Array.of(1);
    const around = (zeros: number): Uint8Array => Buffer.concat([one, new Uint8Array(zeros), one]);
    expect(chunksOf(around(1023))).toEqual([{ start: 0, length: 1025, zeros: false }]);
    expect(chunksOf(around(1024))).toEqual([
      { start: 0, length: 1, zeros: false },
      { start: 1, length: 1024, zeros: true },
      { start: 1025, length: 1, zeros: false },
    ]);
  });

  it("are zeros up to the end where the file is", () => {
    expect(chunksOf(new Uint8Array(1023))).toEqual([{ start: 0, length: 1023, zeros: false }]);
    expect(chunksOf(new Uint8Array(5000))).toEqual([{ start: 0, length: 5000, zeros: true }]);
    expect(chunksOf(new Uint8Array(0))).toEqual([]);
  });

  it("do not know of the file before", () => {
    const bytes = Buffer.concat([noise(200_000, 3), new Uint8Array(1500)]);
    const ends: number[] = [];
    const chunker = new Chunker((end) => ends.push(end));
    for (let i = 0; i < 2; i++) {
      chunker.write(bytes);
      chunker.end();
    }
    const once = chunksOf(bytes).map(({ start, length }) => start + length);
    expect(ends).toEqual([...once, ...once]);
  });
});

const GOLDEN: readonly number[] = [
  133_925, 154_939, 161_217, 292_669, 342_771, 358_873, 360_548, 549_361, 568_060, 572_753, 583_616, 593_788, 726_361,
  885_572, 957_842, 959_903, 963_386, 1_029_098, 1_048_576,
];
