import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_PIECE_BYTES, type Piece } from "./journal-format.ts";
import { PendingPieces } from "./pending-pieces.ts";
import { newPieceKey, PieceSum } from "./piece-sum.ts";
import { RangeSet } from "./range-set.ts";
import type { ByteRange } from "./types.ts";

const key = newPieceKey();
const holds = (file: Uint8Array, { start, end, sum }: Piece): boolean => {
  const bytes = file.subarray(start, end);
  return sum === undefined
    ? bytes.every((byte) => byte === 0)
    : Buffer.from(new PieceSum(key).update(bytes).digest()).equals(sum);
};

/** As a checkpoint does: what has no sum is read back. */
function takeAll(pending: PendingPieces, file: Uint8Array): Piece[] {
  const { pieces, unsummed } = pending.take();
  const sumOf = ({ start, end }: ByteRange): Uint8Array => new PieceSum(key).update(file.subarray(start, end)).digest();
  return [...pieces, ...unsummed.map(({ start, end }) => ({ start, end, sum: sumOf({ start, end }) }))];
}

describe("pending pieces", () => {
  /** Zeros in the middle, so that a run of them is true there. */
  const blob = Uint8Array.from({ length: 80 }, (_, at) => (at >= 30 && at < 50 ? 0 : at + 1));
  const write = fc.record({ start: fc.nat(60), length: fc.integer({ min: 1, max: 20 }), take: fc.boolean() });

  it("cover exactly what was written, in any order and however often", () => {
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), (writes) => {
        const done = new RangeSet();
        const pending = new PendingPieces(key);
        const claims: Piece[] = [];
        for (const { start, length, take } of writes) {
          const bytes = blob.slice(start, start + length);
          if (bytes.every((byte) => byte === 0)) pending.zeros(start, length);
          else pending.wrote(start, bytes, done.overlaps(start, start + length));
          done.add(start, start + length);
          if (take) claims.push(...takeAll(pending, blob));
        }
        claims.push(...takeAll(pending, blob));
        expect(claims.every((claim) => holds(blob, claim))).toBe(true);
        expect(new RangeSet(claims).toArray()).toEqual(done.toArray());
        expect(pending.bytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("claim nothing that was forgotten, and all that was written anew", () => {
    const step = fc.record({ forget: fc.boolean(), start: fc.nat(60), length: fc.integer({ min: 1, max: 20 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const done = new RangeSet();
        const pending = new PendingPieces(key);
        for (const { forget, start, length } of steps) {
          const end = start + length;
          if (forget) pending.forget(start, end);
          else pending.wrote(start, blob.slice(start, end), done.overlaps(start, end));
          if (forget) done.delete(start, end);
          else done.add(start, end);
        }
        const claims = takeAll(pending, blob);
        expect(claims.every((claim) => holds(blob, claim))).toBe(true);
        expect(new RangeSet(claims).toArray()).toEqual(done.toArray());
      }),
      { numRuns: 300 },
    );
  });

  it("claim the bytes that overwrote others; the claim of the others fails its check", () => {
    const file = Uint8Array.from(blob);
    const pending = new PendingPieces(key);
    pending.wrote(0, blob.slice(0, 20), false);
    file.fill(99, 5, 8);
    pending.wrote(5, file.slice(5, 8), true);
    const good = takeAll(pending, file).filter((claim) => holds(file, claim));
    expect(new RangeSet(good).toArray()).toEqual([{ start: 5, end: 8 }]);
  });

  it("sums several streams at once, cut into pieces of at most 4 MiB", () => {
    const pending = new PendingPieces(key);
    const chunk = new Uint8Array(1024 * 1024).fill(9);
    for (let step = 0; step < 6; step++) {
      pending.wrote(step * chunk.length, chunk, false);
      pending.wrote(100 * chunk.length + step * chunk.length, chunk, false);
    }
    const { pieces, unsummed } = pending.take();
    expect(unsummed).toEqual([]);
    const lengths = pieces.map(({ start, end }) => end - start).sort((a, b) => a - b);
    expect(lengths).toEqual([2, 2, 4, 4].map((mebibytes) => mebibytes * 1024 * 1024));
    expect(Math.max(...lengths)).toBe(MAX_PIECE_BYTES);
  });

  it("keeps its memory when the writes are crumbs", () => {
    const pending = new PendingPieces(key);
    for (let position = 0; position < 20_000; position += 2) pending.wrote(position, new Uint8Array([1]), false);
    for (let position = 1; position < 20_000; position += 2) pending.wrote(position, new Uint8Array([1]), false);
    const { pieces, unsummed } = pending.take();
    expect(pieces.length).toBeLessThan(2200);
    expect(new RangeSet([...pieces, ...unsummed]).toArray()).toEqual([{ start: 0, end: 20_000 }]);
  });

  it("takes back what could not be recorded", () => {
    const pending = new PendingPieces(key);
    pending.wrote(0, new Uint8Array(10), false);
    pending.zeros(20, 5);
    pending.restore(pending.take());
    expect(pending.bytes).toBe(15);
    expect(pending.take()).toEqual({
      pieces: [],
      unsummed: [
        { start: 0, end: 10 },
        { start: 20, end: 25 },
      ],
    });
  });
});
