/** Walking tells the files that reading tells, and whatever the bytes are it comes to an end. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { randomIndex } from "../../../test/kit/erofs/random-index.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { readErofs } from "./reader.ts";
import type { IndexNode } from "./tree.ts";
import { walkErofsFiles, type IndexedFile } from "./walk-files.ts";
import { encodeErofs } from "./writer.ts";

const seeds = fc.integer({ min: 0, max: 2 ** 31 });

function encoded(seed: number, size: number): Buffer {
  const tree = randomIndex(createRng(seed), { size, devices: 2 });
  return Buffer.concat([...encodeErofs(tree, { uuid: new Uint8Array(16) })]);
}

function filesBelow(node: IndexNode, path: string): IndexedFile[] {
  return [...(node.children ?? [])].flatMap(([name, child]) => {
    const below = path === "" ? name : `${path}/${name}`;
    if (child.type === "directory") return filesBelow(child, below);
    if (child.type !== "file" || child.place === undefined) return [];
    return [{ path: below, size: child.size, device: child.place.device, start: child.place.offset }];
  });
}

const byPath = (a: IndexedFile, b: IndexedFile): number => (a.path < b.path ? -1 : 1);

describe("walking an index", () => {
  it("tells each name of each file that has bytes, and where they are", () => {
    fc.assert(
      fc.property(seeds, fc.nat(120), (seed, size) => {
        const index = encoded(seed, size);
        const expected = filesBelow(readErofs(index).root, "").sort(byPath);
        expect([...walkErofsFiles(index)].sort(byPath)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });

  it("ends with INDEX_INVALID, or with files, whatever bytes are changed", () => {
    fc.assert(
      fc.property(seeds, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), (seed, changes) => {
        const index = encoded(seed, 40);
        // The superblock has a checksum.
        for (const [at, value] of changes) index[1536 + (at % (index.length - 1536))] = value;
        let count = 0;
        try {
          for (const _ of walkErofsFiles(index, { maxEntries: 1000 })) count++;
        } catch (error) {
          if (!isVarveError(error, "INDEX_INVALID")) throw error;
        }
        expect(count).toBeLessThanOrEqual(1000);
      }),
      { numRuns: 200 },
    );
  });

  it("refuses more names than it is told to take", () => {
    const index = encoded(1, 100);
    expect(() => [...walkErofsFiles(index, { maxEntries: 3 })]).toThrow("more than 3 names");
  });
});
