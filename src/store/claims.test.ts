/** In which order claims are checked, and who is told when. What comes of them is tested with ingests. */
import { describe, expect, it } from "vitest";
import { Claims } from "./claims.ts";
import { PIECE_KEY_BYTES } from "./piece-sum.ts";
import type { ByteRange } from "./types.ts";

const PIECE = 1000;

/** Claims of so many runs of zeros, one behind the other; each read waits for its turn. */
function scene(count: number, broken: readonly number[] = []) {
  const read: number[] = [];
  const gates = Array.from({ length: count }, () => Promise.withResolvers<void>());
  const pieces = gates.map((_, index) => ({ start: index * PIECE, end: (index + 1) * PIECE }));
  const file = {
    async read(into: Uint8Array, offset: number, length: number, position: number) {
      const index = position / PIECE;
      read.push(index);
      await gates[index]!.promise;
      into.fill(broken.includes(index) ? 1 : 0, offset, offset + length);
      return { bytesRead: length };
    },
  };
  const claims = new Claims({ file, key: new Uint8Array(PIECE_KEY_BYTES), pieces });
  const open = (...indexes: number[]): void => indexes.forEach((index) => gates[index]!.resolve());
  return { claims, read, open };
}

const range = (first: number, last = first): [number, number] => [first * PIECE + 1, (last + 1) * PIECE - 1];

describe("claims", () => {
  it("are checked from the front on, and what is wanted sooner before the rest", async () => {
    const { claims, read, open } = scene(6);
    const held: ByteRange[] = [];
    const checking = claims.check({ onHeld: (one) => void held.push(one) });
    const wanted = [claims.sooner(...range(4, 5)), claims.sooner(...range(2))];
    const seen: string[] = [];
    void wanted[0]!.then(() => seen.push(`4 and 5 behind ${held.length}`));
    void wanted[1]!.then(() => seen.push(`2 behind ${held.length}`));
    open(0, 4, 5);
    await wanted[0];
    expect(claims.open).toEqual([{ start: PIECE, end: 4 * PIECE }]);
    open(1, 2, 3);
    expect(await checking).toBeUndefined();
    expect(read).toEqual([0, 4, 5, 2, 1, 3]);
    expect(seen).toEqual(["4 and 5 behind 3", "2 behind 4"]);
    expect(held.map(({ start }) => start / PIECE)).toEqual(read);
    await claims.sooner(...range(0, 5));
  });

  it("are settled for who waits where they do not hold, or are dropped", async () => {
    const { claims, open } = scene(4, [2]);
    const checking = claims.check({});
    const wanted = [claims.sooner(...range(2)), claims.sooner(...range(3))];
    claims.drop(3 * PIECE, 4 * PIECE);
    open(0, 2);
    await Promise.all(wanted);
    expect(claims.resumed).toEqual([
      { start: 0, end: 2 * PIECE },
      { start: 3 * PIECE, end: 4 * PIECE },
    ]);
    open(1, 3);
    expect(await checking).toHaveLength(3);
  });

  it("keep nobody waiting when the check is cut off", async () => {
    const { claims, open } = scene(3);
    const stop = new AbortController();
    const checking = claims.check({ signal: stop.signal });
    const wanted = claims.sooner(...range(2));
    stop.abort(new Error("enough"));
    open(0);
    await expect(checking).rejects.toThrow("enough");
    await wanted;
    expect(claims.open).toEqual([{ start: 0, end: 3 * PIECE }]);
  });
});
