/** Ways from what is held to what is wanted: the one with the fewest bytes, each delta after what it needs, and no endless ones. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import type { ListedDelta } from "../discover/read-manifest.ts";
import { MOST_STEPS, resolveChains, withoutKnots } from "./resolve-chains.ts";

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

  it("need no other delta where one can be applied at once, and are none where it never can", () => {
    expect(chainsOf([bc], "c", "b")).toEqual([[bc]]);
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

it("chains in which something could wait for itself are none", () => {
  const held = new Set(names("a"));
  const called = (one: ListedDelta, digest: Digest): ListedDelta => ({ ...one, blob: { ...one.blob, digest } });
  const left = (deltas: readonly ListedDelta[], own = "z", direct: readonly ListedDelta[] = []): number => {
    const chains = resolveChains(deltas, new Set(names("cd")), (layer) => held.has(layer));
    return withoutKnots(chains, new Set(names(own)), direct).length;
  };
  const [ab, bc, bd] = [delta("a", "b"), delta("b", "c"), delta("b", "d")] as const;
  expect(left([ab, bc, bd])).toBe(2);
  expect(left([ab, bc, delta("a", "d")])).toBe(2);
  // A layer's own delta may be what makes another's base, as long as it makes the same.
  expect(left([ab, bc], "z", [ab])).toBe(1);
  expect(left([ab, bc], "z", [called(delta("a", "x"), ab.blob.digest)])).toBe(0);
  // Called like a part of the image, like a layer on the way, like what it is needed for.
  expect(left([called(ab, name("z")), bc])).toBe(0);
  expect(left([ab, called(bc, name("z"))])).toBe(0);
  expect(left([called(ab, name("c")), bc])).toBe(0);
  expect(left([ab, called(bc, name("b"))])).toBe(0);
  expect(left([called(ab, bc.blob.digest), bc, bd])).toBe(0);
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
