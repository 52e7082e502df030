import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { NameSet } from "./name-set.ts";

describe("names that have been there", () => {
  it("are those that were added, as a set has them", () => {
    const names = fc.array(fc.string({ maxLength: 3 }), { maxLength: 60 });
    fc.assert(
      fc.property(names, (list) => {
        const [set, model] = [new NameSet(), new Set<string>()];
        const isNew = list.map((name) => !model.has(name) && model.add(name) === model);
        expect(list.map((name) => set.add(name))).toEqual(isNew);
        expect(set.size).toBe(model.size);
      }),
    );
  });

  it("are told apart where there are very many that are much alike, and in few bytes", () => {
    const set = new NameSet();
    const count = 200_000;
    const nameOf = (at: number): string => `usr/lib/python3/dist-packages/a${at % 97}/b${at}`;
    const before = process.memoryUsage().arrayBuffers;
    for (let at = 0; at < count; at++) set.add(nameOf(at));
    for (let at = 0; at < count; at += 7) set.add(nameOf(at));
    expect(set.size).toBe(count);
    // What was outgrown may still be there.
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2 * 2 * 16 * count);
    set.clear();
    expect([set.size, set.add(nameOf(0))]).toEqual([0, true]);
  });
});
