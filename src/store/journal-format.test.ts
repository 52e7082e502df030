import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../oci/digest.ts";
import { encodeHeader, encodePiece, MAX_PIECE_BYTES, parseJournal, type Piece } from "./journal-format.ts";
import { newPieceKey, PIECE_SUM_BYTES, PieceSum } from "./piece-sum.ts";

const SIZE = 2 ** 50;
const header = { digest: digestOf("a blob"), size: SIZE, key: newPieceKey() };
const sum = fc.uint8Array({ minLength: PIECE_SUM_BYTES, maxLength: PIECE_SUM_BYTES });
const piece: fc.Arbitrary<Piece> = fc
  .tuple(
    fc.maxSafeNat().map((n) => n % (SIZE - MAX_PIECE_BYTES)),
    fc.integer({ min: 1, max: MAX_PIECE_BYTES }),
    fc.option(sum),
  )
  .map(([start, length, sum]) => (sum === null ? { start, end: start + length } : { start, end: start + length, sum }));

const encode = (pieces: readonly Piece[]): Buffer => Buffer.concat([encodeHeader(header), ...pieces.map(encodePiece)]);
const plain = (pieces: readonly Piece[] | undefined): unknown =>
  pieces?.map(({ start, end, sum }) => ({ start, end, sum: sum && Buffer.from(sum).toString("hex") }));

describe("journal format", () => {
  it("reads what it wrote, also with zeros behind", () => {
    fc.assert(
      fc.property(fc.array(piece), fc.nat(100), (pieces, zeros) => {
        const parsed = parseJournal(Buffer.concat([encode(pieces), Buffer.alloc(zeros)]));
        expect(plain(parsed?.pieces)).toEqual(plain(pieces));
        expect(parsed?.header.digest).toBe(header.digest);
        expect(parsed?.header.size).toBe(SIZE);
        expect(Buffer.from(parsed!.header.key)).toEqual(Buffer.from(header.key));
      }),
    );
  });

  it("cut at any byte, keeps the records before the cut and nothing else", () => {
    const pieces: Piece[] = [
      { start: 0, end: 4, sum: new Uint8Array(PIECE_SUM_BYTES).fill(7) },
      { start: 4, end: 4096 },
      { start: 9, end: 10, sum: new Uint8Array(PIECE_SUM_BYTES) },
    ];
    const whole = encode(pieces);
    const ends = pieces.map((_, count) => encode(pieces.slice(0, count + 1)).length);
    for (let cut = 0; cut <= whole.length; cut++) {
      const parsed = parseJournal(whole.subarray(0, cut));
      if (cut < encodeHeader(header).length) expect(parsed).toBeUndefined();
      else expect(plain(parsed?.pieces)).toEqual(plain(pieces.filter((_, number) => ends[number]! <= cut)));
    }
  });

  it("with any byte changed, believes no record from there on", () => {
    const pieces = Array.from({ length: 4 }, (_, n) => ({
      start: n,
      end: n + 1,
      sum: new Uint8Array(PIECE_SUM_BYTES),
    }));
    const whole = encode(pieces);
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const broken = Buffer.from(whole);
        broken[at]! ^= flip;
        const believed = parseJournal(broken)?.pieces ?? [];
        const intact = pieces.filter((_, number) => encode(pieces.slice(0, number + 1)).length <= at);
        expect(plain(believed)).toEqual(plain(at < encodeHeader(header).length ? [] : intact));
      }),
    );
  });

  it.each([
    ["beyond the blob", { start: SIZE - 1, end: SIZE + 1 }],
    ["empty", { start: 5, end: 5 }],
    ["backwards", { start: 6, end: 5 }],
    ["too long to check", { start: 0, end: MAX_PIECE_BYTES + 1, sum: new Uint8Array(PIECE_SUM_BYTES) }],
  ])("refuses a piece that is %s", (_, piece) => {
    expect(parseJournal(encode([piece]))?.pieces).toEqual([]);
  });

  it("survives any bytes at all", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => parseJournal(bytes) === undefined));
  });
});

describe("piece sum", () => {
  it("is the same however the bytes are cut, and another for other bytes or another key", () => {
    const key = newPieceKey();
    const sumOf = (...chunks: Uint8Array[]): string => {
      const sum = new PieceSum(key);
      for (const chunk of chunks) sum.update(chunk);
      return Buffer.from(sum.digest()).toString("hex");
    };
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 200 }), fc.nat(200), fc.nat(), (bytes, cut, at) => {
        const whole = sumOf(bytes);
        expect(sumOf(bytes.subarray(0, cut), bytes.subarray(cut))).toBe(whole);
        const other = Uint8Array.from(bytes);
        other[at % other.length]! ^= 1;
        expect(sumOf(other)).not.toBe(whole);
        expect(sumOf(bytes, new Uint8Array(1))).not.toBe(whole);
        expect(Buffer.from(new PieceSum(newPieceKey()).update(bytes).digest()).toString("hex")).not.toBe(whole);
      }),
    );
  });
});
