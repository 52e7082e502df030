/** Where zeros are found, against looking at each byte. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { dataStretches, HOLE_BLOCK, isZero } from "./zero-runs.ts";

const edge = fc.oneof(
  fc.nat(300_000),
  fc.nat(73).map((block) => block * HOLE_BLOCK),
);

it("data is what lies in blocks of the file that hold something, and no byte of it is lost", () => {
  fc.assert(
    fc.property(
      edge,
      edge,
      fc.nat(3 * HOLE_BLOCK),
      fc.array(fc.nat(300_000), { maxLength: 5 }),
      (a, b, shift, bytes) => {
        const [start, end] = [Math.min(a, b), Math.max(a, b)];
        const buffer = Buffer.alloc(300_001);
        for (const at of bytes) buffer[at] = 1;
        const position = start + shift;
        const blockOf = (at: number): number => Math.floor((at - start + position) / HOLE_BLOCK);
        const full = new Set(bytes.filter((at) => at >= start && at < end).map(blockOf));
        const found = dataStretches(buffer, start, end, position);
        const covered = found.reduce((sum, [from, to]) => sum + to - from, 0);
        let expected = 0;
        for (const block of full) {
          const from = Math.max(start, block * HOLE_BLOCK - position + start);
          expected += Math.min(end, (block + 1) * HOLE_BLOCK - position + start) - from;
        }
        expect(covered).toBe(expected);
        for (const at of bytes.filter((one) => one >= start && one < end)) {
          expect(found.some(([from, to]) => at >= from && at < to)).toBe(true);
        }
        for (const [index, [, to]] of found.entries()) expect(to).toBeLessThan(found[index + 1]?.[0] ?? Infinity);
        expect(isZero(buffer, start, end)).toBe(full.size === 0);
      },
    ),
  );
});
