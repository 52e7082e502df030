import { describe, expect, it } from "vitest";
import { createRng } from "../../../test/kit/images/rng.ts";
import { HOLE_BLOCK } from "../../codec/zero-runs.ts";
import { TouchedBlocks } from "./touched-blocks.ts";

/** What one page of the bitmap is for. */
const PAGE = 64 << 20;

describe("touched blocks", () => {
  it("are those that were written to, across the pages that they are kept in", () => {
    const rng = createRng(3);
    for (let round = 0; round < 100; round++) {
      const touched = new TouchedBlocks(false);
      const blocks = new Set<number>();
      // Around the border of two pages, far out in a large disk.
      const middle = PAGE * (1 + rng.int(1 << 16));
      const near = (): number => middle - 10 * HOLE_BLOCK + rng.int(20 * HOLE_BLOCK);
      for (let writes = rng.int(5); writes > 0; writes--) {
        const start = near();
        const end = start + rng.int(5 * HOLE_BLOCK);
        touched.add(start, end);
        if (end > start) for (let at = Math.floor(start / HOLE_BLOCK); at * HOLE_BLOCK < end; at++) blocks.add(at);
      }
      const from = near() - rng.int(2) * 3 * PAGE;
      const to = near() + rng.int(2) * 3 * PAGE;
      const told = [...touched.within(from, to)];
      for (const { start, end } of told) {
        expect(start).toBeGreaterThanOrEqual(from);
        expect(end).toBeLessThanOrEqual(to);
        expect(end).toBeGreaterThan(start);
      }
      for (const [index, { start }] of told.entries())
        if (index > 0) expect(start).toBeGreaterThan(told[index - 1]!.end);
      for (let at = Math.max(from, middle - 11 * HOLE_BLOCK); at < Math.min(to, middle + 26 * HOLE_BLOCK); at += 512) {
        const isTold = told.some(({ start, end }) => start <= at && at < end);
        expect(isTold).toBe(blocks.has(Math.floor(at / HOLE_BLOCK)));
      }
    }
  });

  it("are all of them where nobody knows", () => {
    expect([...new TouchedBlocks(true).within(5, 7)]).toEqual([{ start: 5, end: 7 }]);
    expect([...new TouchedBlocks(true).within(5, 5)]).toEqual([]);
    expect([...new TouchedBlocks(false).within(0, 2 ** 45)]).toEqual([]);
  });
});
