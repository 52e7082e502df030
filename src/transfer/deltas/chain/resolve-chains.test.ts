/** Ways from what is held to what is wanted: the one with the fewest bytes, each delta after what it needs, and no endless ones. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import type { ListedDelta } from "../discover/read-manifest.ts";
import { MOST_STEPS, resolveChains } from "./resolve-chains.ts";

const name = (of: string): Digest => digestOf(of);
/** A layer for each letter. */
const names = (letters: string): Digest[] => letters.split("").map(name);

function delta(from: string, to: string, size = 10): ListedDelta {
  const blob = { mediaType: "application/octet-stream", digest: name(`${from} to ${to}, ${size}`), size };
  return { how: "librsync-delta", blob, from: names(from), to: name(to) };
}

function chainsOf(deltas: readonly ListedDelta[], wanted: string, held: string): readonly (readonly ListedDelta[])[] {
  const here = new Set(names(held));
  const chains = resolveChains(deltas, new Set(names(wanted)), (layer) => here.has(layer));
  return chains.map((chain) => chain.via.concat(chain.delta));
}

describe("chains", () => {
  const [ab, bc, cd, de] = [delta("a", "b"), delta("b", "c"), delta("c", "d"), delta("d", "e")] as const;

  it("lead in two steps, and in three, and not in four", () => {
    expect(chainsOf([bc, ab], "c", "a")).toEqual([[ab, bc]]);
    expect(chainsOf([cd, ab, bc], "d", "a")).toEqual([[ab, bc, cd]]);
    expect(chainsOf([de, cd, bc, ab], "e", "a")).toEqual([]);
  });

  it("are none where a delta can be applied at once, or never", () => {
    expect(chainsOf([bc], "c", "b")).toEqual([]);
    expect(chainsOf([bc, delta("x", "b")], "c", "a")).toEqual([]);
    expect(chainsOf([ab], "c", "a")).toEqual([]);
  });

  it("make all layers of a base that are not held, those that are shared once", () => {
    const [to, one, two, common] = [delta("apqr", "z"), delta("a", "p"), delta("s", "q"), delta("s", "r")];
    const below = delta("a", "s");
    expect(chainsOf([to, one, two, common, below], "z", "a")).toEqual([[one, below, two, common, to]]);
    expect(chainsOf([to, one, two, below], "z", "a")).toEqual([]);
  });

  it("have the fewest bytes, whatever the number of steps", () => {
    const [straight, cheap, cheaper] = [delta("a", "c", 100), delta("a", "b", 5), delta("b", "c", 6)];
    expect(chainsOf([straight, cheap, cheaper, cd], "d", "a")).toEqual([[cheap, cheaper, cd]]);
    expect(chainsOf([delta("a", "c", 8), straight, cheap, cheaper, cd], "d", "a")).toEqual([[delta("a", "c", 8), cd]]);
  });

  it("do not go in circles", () => {
    expect(chainsOf([delta("x", "y"), delta("y", "x"), delta("y", "c")], "c", "a")).toEqual([]);
    expect(chainsOf([delta("c", "b", 1), ab, bc], "c", "a")).toEqual([[ab, bc]]);
  });
});

it("whatever the deltas are, each comes after what it needs", () => {
  const letter = fc.constantFrom(..."abcdefgh".split(""));
  const some = fc.tuple(fc.uniqueArray(letter, { minLength: 1, maxLength: 3 }), letter, fc.integer({ min: 1, max: 9 }));
  fc.assert(
    fc.property(fc.array(some, { maxLength: 25 }), (list) => {
      const deltas = list.map(([from, to, size]) => delta(from.join(""), to, size));
      for (const chain of chainsOf(deltas, "gh", "ab")) {
        const there = new Map(names("ab").map((layer) => [layer, 0]));
        for (const { from, to } of chain) {
          const steps = from.map((base) => there.get(base));
          expect(steps).not.toContain(undefined);
          there.set(to, Math.max(...(steps as number[])) + 1);
        }
        expect(Math.max(...there.values())).toBeLessThanOrEqual(MOST_STEPS);
      }
    }),
    { numRuns: 300 },
  );
});
