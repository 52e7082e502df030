import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { RangeSet } from "./range-set.ts";
import type { ByteRange } from "./types.ts";

const SPAN = 48;
const change = fc.record({
  op: fc.constantFrom("add" as const, "delete" as const),
  start: fc.nat(SPAN),
  end: fc.nat(SPAN),
});

/** The oracle: one boolean for each byte. */
function modelOf(changes: readonly { op: "add" | "delete"; start: number; end: number }[]): boolean[] {
  const bytes = Array.from({ length: SPAN }, () => false);
  for (const { op, start, end } of changes) if (end > start) bytes.fill(op === "add", start, end);
  return bytes;
}

function rangesOf(bytes: readonly boolean[], from = 0, to = bytes.length, wanted = true): ByteRange[] {
  const ranges: { start: number; end: number }[] = [];
  for (let position = from; position < to; position++) {
    if (bytes[position] !== wanted) continue;
    const last = ranges.at(-1);
    if (last?.end === position) last.end++;
    else ranges.push({ start: position, end: position + 1 });
  }
  return ranges;
}

describe("range set", () => {
  it("equals a model of single bytes after any changes", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 40 }), fc.nat(SPAN), fc.nat(SPAN), (changes, a, b) => {
        const set = new RangeSet();
        for (const { op, start, end } of changes) set[op](start, end);
        const model = modelOf(changes);
        const [from, to] = a < b ? [a, b] : [b, a];
        expect(set.toArray()).toEqual(rangesOf(model));
        expect([...set]).toEqual(rangesOf(model));
        expect(set.bytes).toBe(model.filter(Boolean).length);
        expect(set.isEmpty).toBe(!model.includes(true));
        expect(set.within(from, to)).toEqual(rangesOf(model, from, to));
        expect(set.missing(from, to)).toEqual(rangesOf(model, from, to, false));
        expect(set.has(from, to)).toBe(!model.slice(from, to).includes(false));
        expect(set.overlaps(from, to)).toBe(model.slice(from, to).includes(true));
        const gap = model.indexOf(false, from);
        expect(set.contiguousEnd(from)).toBe(from >= SPAN ? from : gap === -1 ? SPAN : gap);
      }),
      { numRuns: 500 },
    );
  });

  it("takes positions beyond 32 bits", () => {
    const set = new RangeSet([{ start: 2 ** 40, end: 2 ** 41 }]);
    set.add(2 ** 41, 2 ** 42);
    expect(set.toArray()).toEqual([{ start: 2 ** 40, end: 2 ** 42 }]);
    expect(set.contiguousEnd()).toBe(0);
  });
});
