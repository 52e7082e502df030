import * as fc from "fast-check";
import { expect, it } from "vitest";
import { byKinship, sharedLayers, type Core } from "./kinship.ts";

const core = (name: string, ...keys: string[]): Core => ({
  name,
  layers: keys.map((key) => ({ key, size: key.length })),
});

it("puts images side by side that have their lowest layers in common, as far up as that goes", () => {
  const images = [
    core("a", "debian", "node", "a"),
    core("b", "alpine", "b"),
    core("c", "debian", "c"),
    core("d", "debian", "node", "d"),
    core("e", "alpine", "b", "e"),
  ];
  expect(byKinship(images).map(({ name }) => name)).toEqual(["a", "d", "c", "b", "e"]);
});

it("neither loses nor doubles an image, and its order does not depend on the one before", () => {
  const layers = fc.array(fc.constantFrom("p", "q", "r"), { maxLength: 4 });
  const images = fc
    .uniqueArray(fc.string({ minLength: 1, maxLength: 3 }), { maxLength: 8 })
    .chain((names) => fc.tuple(...names.map((name) => layers.map((keys) => core(name, ...keys)))));
  fc.assert(
    fc.property(images, (images) => {
      const ordered = byKinship(images);
      expect(ordered.map(({ name }) => name).toSorted()).toEqual(images.map(({ name }) => name).toSorted());
      expect(byKinship(images.toReversed())).toEqual(ordered);
    }),
  );
});

it("ranks layers that several images have by what sharing them saves, and an image that has one twice shares it with nobody", () => {
  const images = [
    core("a", "common", "pair", "twice", "twice"),
    core("b", "common", "pair"),
    core("c", "common", "alone"),
  ];
  expect([...sharedLayers(images)]).toEqual([
    ["common", 0],
    ["pair", 1],
  ]);
});
