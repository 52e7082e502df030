import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { choosePrunable, type PrunableImage, type PruneRules } from "./prune-rules.ts";

const DAY = 86_400_000;
const NOW = 100 * DAY;

function image(name: string, ageDays: number, layers: readonly string[], own = `own-${name}`): PrunableImage {
  const repository = name.slice(0, name.lastIndexOf(":"));
  return { name, repository, usedAt: NOW - ageDays * DAY, layers, digests: [...layers, own] };
}

/** Every digest takes 10 bytes. */
function choose(images: readonly PrunableImage[], rules: Partial<PruneRules> = {}) {
  const all = new Set(images.flatMap(({ digests }) => digests));
  const facts = { images, storeBytes: all.size * 10, freedBy: () => 10 };
  const { remove, keep, storeBytes } = choosePrunable(facts, { now: NOW, ...rules });
  return {
    removed: remove.map(({ name }) => name),
    kept: Object.fromEntries(keep.map(({ name, reason }) => [name, reason])),
    storeBytes,
  };
}

describe("pruning by age", () => {
  it("takes images that were not used for so long, the longest first, never the newest of a repository", () => {
    const images = [image("a:1", 30, ["x"]), image("a:2", 40, ["y"]), image("a:3", 20, ["z"]), image("b:1", 90, ["w"])];
    expect(choose(images, { olderThanMs: 30 * DAY })).toEqual({
      removed: ["a:2", "a:1"],
      kept: { "a:3": "newest", "b:1": "newest" },
      storeBytes: 40,
    });
    expect(choose(images, { olderThanMs: 35 * DAY }).kept).toMatchObject({ "a:1": "recent" });
  });

  it("keeps bases of what stays, not of what goes with them", () => {
    const images = [
      image("base:new", 0, ["n"]),
      image("base:1", 90, ["p"]),
      image("base:2", 90, ["q"]),
      image("app:old", 60, ["q", "r"]),
      image("app:new", 50, ["p", "s"]),
    ];
    expect(choose(images, { olderThanMs: 30 * DAY })).toMatchObject({
      removed: ["app:old", "base:2"],
      kept: { "base:1": "base", "app:new": "newest", "base:new": "newest" },
    });
  });

  it("keeps another name of the layers of what stays; two such names of which neither stays both go", () => {
    const images = [
      image("base:new", 0, ["n"]),
      image("base:1", 90, ["p"]),
      image("app:1", 90, ["p"]),
      image("other:1", 90, ["q"]),
      image("other:2", 91, ["q"]),
      image("other:new", 0, []),
    ];
    const { removed, kept } = choose(images, { olderThanMs: DAY });
    expect(removed).toEqual(["other:2", "other:1"]);
    expect(kept).toMatchObject({ "base:1": "base", "app:1": "newest" });
  });

  it("takes no image without layers for a base", () => {
    const images = [image("a:1", 9, []), image("a:2", 1, ["x"])];
    expect(choose(images, { olderThanMs: DAY }).removed).toEqual(["a:1"]);
  });

  it("leaves alone what the filter does not mean", () => {
    const images = [image("a:1", 9, ["x"]), image("a:2", 9, ["y"]), image("a:3", 1, ["z"])];
    const { removed, kept } = choose(images, { olderThanMs: DAY, accepts: (name) => name !== "a:1" });
    expect(removed).toEqual(["a:2"]);
    expect(kept).toEqual({ "a:1": "filter", "a:3": "newest" });
  });
});

describe("pruning to a size", () => {
  const images = [image("a:1", 4, ["x"]), image("a:2", 3, ["y"]), image("a:3", 2, ["z"]), image("a:4", 1, ["w"])];

  it("takes the least recently used until it is small enough", () => {
    expect(choose(images, { keepBytes: 80 }).removed).toEqual([]);
    expect(choose(images, { keepBytes: 79 }).removed).toEqual(["a:1"]);
    const { removed, kept, storeBytes } = choose(images, { keepBytes: 40 });
    expect({ removed, storeBytes }).toEqual({ removed: ["a:1", "a:2"], storeBytes: 40 });
    expect(kept).toEqual({ "a:3": "small-enough", "a:4": "newest" });
  });

  it("ends when nothing else may go", () => {
    expect(choose(images, { keepBytes: 0 })).toMatchObject({ removed: ["a:1", "a:2", "a:3"], storeBytes: 20 });
  });

  it("takes only images of the age when one is given", () => {
    expect(choose(images, { keepBytes: 0, olderThanMs: 3 * DAY }).removed).toEqual(["a:1", "a:2"]);
  });

  it("comes back to a base once nothing is built on it any more", () => {
    const images = [
      image("base:1", 9, ["p"]),
      image("base:new", 0, ["n"]),
      image("app:1", 8, ["p", "q"]),
      image("app:2", 1, ["r"]),
      image("app:1b", 7, ["s"]),
    ];
    expect(choose(images, { keepBytes: 0 }).removed).toEqual(["app:1", "base:1", "app:1b"]);
  });

  it("counts what several images share once, when the last of them goes", () => {
    const images = [image("a:1", 3, ["x", "y"]), image("a:2", 2, ["x", "z"]), image("a:3", 1, ["x"])];
    expect(choose(images, { keepBytes: 50 })).toMatchObject({ removed: ["a:1"], storeBytes: 40 });
  });
});

describe("whatever the store holds", () => {
  const anyImage = fc.record({
    repository: fc.constantFrom("a", "b", "c"),
    age: fc.nat(10),
    layers: fc.array(fc.constantFrom("p", "q", "r"), { maxLength: 3 }),
  });

  it("pruning keeps its promises", () => {
    fc.assert(
      fc.property(
        fc.array(anyImage, { maxLength: 12 }),
        fc.option(fc.nat(10), { nil: undefined }),
        fc.option(fc.nat(200), { nil: undefined }),
        (plans, days, keepBytes) => {
          const images = plans.map(({ repository, age, layers }, at) => image(`${repository}:${at}`, age, layers));
          const rules = {
            ...(days !== undefined && { olderThanMs: days * DAY }),
            ...(keepBytes !== undefined && { keepBytes }),
          };
          const { removed, storeBytes } = choose(images, rules);
          const gone = new Set(removed);
          const left = images.filter(({ name }) => !gone.has(name));
          for (const { name, repository, usedAt, layers } of images.filter(({ name }) => gone.has(name))) {
            // Someone of the repository stays who is at least as new.
            expect(left.some((other) => other.repository === repository && other.usedAt >= usedAt)).toBe(true);
            expect(NOW - usedAt).toBeGreaterThanOrEqual((days ?? 0) * DAY);
            const onIt = left.filter(
              (other) => other.layers.length > layers.length && layers.every((layer, at) => other.layers[at] === layer),
            );
            expect(layers.length > 0 && onIt.length > 0, `${name} is a base`).toBe(false);
          }
          expect(storeBytes).toBe(new Set(left.flatMap(({ digests }) => digests)).size * 10);
          if (keepBytes === undefined || removed.length === 0) return;
          // Not one too many: without the last one it would have been too large.
          const last = images.find(({ name }) => name === removed.at(-1))!;
          expect(new Set([...left, last].flatMap(({ digests }) => digests)).size * 10).toBeGreaterThan(keepBytes);
        },
      ),
      { numRuns: 500 },
    );
  });
});
