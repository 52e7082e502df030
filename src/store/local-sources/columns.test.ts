/** The parts of the index by themselves: each is held to the plainest thing that does the same. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { pieceTable, sampleLayer } from "../../../test/kit/sources/held-folders.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { digestHex, digestOf } from "../../oci/digest.ts";
import { HashSet } from "./hash-set.ts";
import { IndexFile } from "./index-file.ts";
import { readKnown, writeKnown, type Known } from "./known-file.ts";
import { hashName } from "./name-hash.ts";
import { FILE_WORDS, KNOWN_WORDS, lowerBound, MAX_NUMBER, refAt, Rows, sizeAt, startAt, type Key } from "./rows.ts";
import { WantedSet } from "./wanted-set.ts";
import { writeIndex } from "./write-index.ts";

const number = fc.oneof(
  fc.nat(5),
  fc.maxSafeNat().map((value) => value % (MAX_NUMBER + 1)),
);
const key: fc.Arbitrary<Key> = fc.record({
  size: number,
  ref: fc.oneof(fc.nat(3), fc.nat(0xffff_ffff)),
  start: number,
});
const before = (a: Key, b: Key): number => a.size - b.size || a.ref - b.ref || a.start - b.start;
const sha256 = (bytes: Uint8Array): Buffer => Buffer.from(digestHex(digestOf(bytes)), "hex");

describe("rows", () => {
  it("keep their numbers, sort by them, and are found by them", () => {
    fc.assert(
      fc.property(fc.array(key, { maxLength: 300 }), key, (keys, wanted) => {
        using rows = new Rows(FILE_WORDS, 2);
        for (const [at, { size, ref, start }] of keys.entries()) rows.set(rows.add(size, ref, start) + 4, at);
        const sorted = rows.sorted();
        const order = keys.map((key, at) => ({ ...key, at })).sort((a, b) => before(a, b) || a.at - b.at);
        const found = order.map((_, row) => {
          const at = row * FILE_WORDS;
          return { size: sizeAt(sorted, at), ref: refAt(sorted, at), start: startAt(sorted, at), at: sorted[at + 4] };
        });
        expect(found).toEqual(order);
        const expected = order.findIndex((each) => before(each, wanted) >= 0);
        expect(lowerBound(sorted, FILE_WORDS, wanted)).toBe(expected < 0 ? order.length : expected);
      }),
    );
  });
});

describe("names", () => {
  it("are the same with or without what stands around them in archives", () => {
    const hash = (name: string): object => ({ ...hashName(name, { path: 0, base: 0 }) });
    for (const name of ["usr/bin/ls", "usr/bin/é", "a", "..b", ".hidden/x"]) {
      for (const same of [`./${name}`, `/${name}`, `././${name}/`, `//${name}`]) expect(hash(same)).toEqual(hash(name));
    }
    expect(hash("usr/bin/ls")).not.toEqual(hash("usr/bin/lS"));
    expect(hashName("x/ls", { path: 0, base: 0 }).base).toBe(hashName("usr/bin/ls", { path: 0, base: 0 }).base);
    // What is no text has a hash too.
    for (const name of ["", "/", "./", "\udfff", "a\udc80"])
      expect(Object.values(hash(name)).every(Number.isInteger)).toBe(true);
  });

  it("in sets are those that were added", () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.nat(20), fc.nat(0xffff_ffff))), fc.array(fc.nat(40)), (added, asked) => {
        const set = new HashSet(added.length);
        for (const value of added) set.add(value);
        for (const value of [...added, ...asked]) expect(set.has(value)).toBe(added.includes(value));
      }),
    );
  });
});

describe("wanted pieces", () => {
  it("are matched once, however many are alike and however often they are held", () => {
    const bytes = new Uint8Array(1);
    const length = 100_000;
    const digest = digestOf(bytes);
    let asked = 0;
    const table = {
      length,
      size: () => 1,
      digest: (piece: number) => {
        asked++;
        return piece === 0 ? digestOf("other") : digest;
      },
      name: () => "x",
    };
    const set = new WantedSet(table);
    asked = 0;
    const place = { source: 0, ref: 0, start: 0 };
    expect(set.match(1, sha256(bytes), place)).toBe(length - 1);
    expect(asked).toBeLessThan(length + 20);
    for (let time = 0; time < 1000; time++) expect(set.match(1, sha256(bytes), place)).toBe(0);
    expect(asked).toBeLessThan(length + 20_000);
  });

  it("are named once for all chunks of a file", () => {
    const names = ["a", "b"].map((name) => name.repeat(1000));
    const chunks = names.flatMap((name) => [1, 2, 3, 4].map((size) => ({ name, bytes: new Uint8Array(size).fill(7) })));
    const set = new WantedSet(pieceTable(chunks));
    set.prepareNames();
    for (const { name, bytes } of chunks) {
      const { path, base } = hashName(name, { path: 0, base: 0 });
      expect([set.isNamed("path", path, bytes.length), set.isNamed("base", base, bytes.length)]).toEqual([true, true]);
      expect(set.isNamed("path", path, 9)).toBe(false);
    }
  });

  it("are matched by size and digest, each once, and can lose their places again", () => {
    const bytes = fc
      .tuple(fc.nat(3), fc.integer({ min: 0, max: 4 }))
      .map(([fill, size]) => new Uint8Array(size).fill(fill));
    fc.assert(
      fc.property(fc.array(bytes), fc.array(fc.tuple(bytes, fc.nat(3))), (pieces, held) => {
        const set = new WantedSet(pieceTable(pieces.map((bytes) => ({ name: "x", bytes }))));
        const sources = pieces.map((): number | undefined => undefined);
        const isWanted = pieces.map(({ length }) => length > 0);
        const check = (): void => {
          expect(pieces.map((_, at) => set.placeOf(at)?.source)).toEqual(sources);
          const found = pieces.filter((_, at) => sources[at] !== undefined);
          expect(set.found).toEqual({
            pieces: found.length,
            bytes: found.reduce((sum, { length }) => sum + length, 0),
          });
          const missing = pieces.filter((_, at) => isWanted[at] && sources[at] === undefined);
          expect(set.missingBytes).toBe(missing.reduce((sum, { length }) => sum + length, 0));
          expect(set.isComplete).toBe(missing.length === 0);
          expect(set.used()).toEqual(new Set(sources.filter((source) => source !== undefined)));
        };
        for (const [content, source] of held) {
          let expected = 0;
          for (const [at, piece] of pieces.entries()) {
            if (content.length === 0 || sources[at] !== undefined || Buffer.compare(piece, content) !== 0) continue;
            sources[at] = source;
            expected++;
          }
          expect(set.match(content.length, sha256(content), { source, ref: 1, start: 2 })).toBe(expected);
        }
        check();
        set.drop(1);
        for (const [at, source] of sources.entries()) if (source === 1) sources[at] = undefined;
        check();
        // Groups are runs of one size.
        const sizes = pieces.map(({ length }) => length).filter((size) => size > 0);
        const groups: number[] = [];
        for (let at = 0; at < set.length; at = set.groupAfter(at)) groups.push(set.sizeAt(at));
        expect(groups).toEqual([...new Set(sizes)].sort((a, b) => a - b));
        const places = pieces.map((_, at) => set.placeOf(at));
        set.settle();
        expect(pieces.map((_, at) => set.placeOf(at))).toEqual(places);
      }),
    );
  });
});

describe("an index on the disk", () => {
  const file = fc.record({
    path: fc
      .array(fc.constantFrom("a", "b", "dir", "ü", "x".repeat(255)), { minLength: 1, maxLength: 5 })
      .map((names) => names.join("/")),
    size: fc.integer({ min: 1, max: 9 }),
  });

  it("holds all files in segments that are sorted, with their names where it is of a tree", async () => {
    await using dir = await tempDir();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(file, { selector: ({ path }) => path, maxLength: 40 }),
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom("tree" as const, "devices" as const),
        async (files, segmentRows, form) => {
          const layer = await sampleLayer(join(dir.path, `${run++}`), form, []);
          const held = files.map(({ path, size }, at) => ({
            path,
            size,
            device: 0,
            start: form === "tree" ? 0 : at * 512,
          }));
          const path = join(layer.folder, "index");
          await writeIndex({ ...layer, files: () => held }, path, { segmentRows });
          using index = IndexFile.open(path);
          expect(index.length).toBe(files.length);
          const told = index.segments.flatMap((segment) => {
            const words = index.rows(segment);
            const rows = Array.from({ length: segment.rows }, (_, row) => row * FILE_WORDS);
            expect(rows.map((at) => sizeAt(words, at))).toEqual(
              rows.map((at) => sizeAt(words, at)).sort((a, b) => a - b),
            );
            return rows.map((at) => {
              const { path, base } = { path: words[at + 4], base: words[at + 5] };
              const name = form === "tree" ? index.pathAt(refAt(words, at)) : held[startAt(words, at) / 512]!.path;
              expect({ path, base }).toEqual(hashName(name, { path: 0, base: 0 }));
              return `${name} ${sizeAt(words, at)}`;
            });
          });
          expect(told.sort()).toEqual(files.map(({ path, size }) => `${path} ${size}`).sort());
          rmSync(layer.folder, { recursive: true });
        },
      ),
      { numRuns: 60 },
    );
  });
});

const sorted = (rows: [string, number][]): [string, number][] => rows.sort(([a], [b]) => (a < b ? -1 : 1));

describe("what is known", () => {
  it("is what was added last, comes back from the disk, and goes when it is forgotten", async () => {
    await using dir = await tempDir();
    const path = join(dir.path, "known");
    const small = fc.record({
      size: fc.integer({ min: 1, max: 3 }),
      ref: fc.nat(2),
      start: fc.nat(2),
      value: fc.nat(255),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.array(small, { maxLength: 10 }), { maxLength: 4 }),
        fc.nat(9),
        async (rounds, id) => {
          const model = new Map<string, number>();
          rmSync(path, { force: true });
          for (const round of rounds) {
            using known = readKnown(path, id);
            for (const { size, ref, start, value } of round) {
              known.add(size, ref, start, new Uint8Array(32).fill(value));
              model.set(`${size} ${ref} ${start}`, value);
            }
            known.merge();
            await writeKnown(path, id, known);
          }
          using known = readKnown(path, id);
          expect(rowsOf(known)).toEqual(sorted([...model]));
          expect(readKnown(path, id + 1).rows).toHaveLength(0);
          known.addCut(1, 1, 4096);
          known.merge();
          expect([known.cutOf(1, 1), known.cutOf(0, 1)]).toEqual([4096, undefined]);
          known.forget(1, 1);
          expect(rowsOf(known)).toEqual(sorted([...model].filter(([key]) => !key.endsWith(" 1 1"))));
          expect(known.cutOf(1, 1)).toBe(4096);
        },
      ),
      { numRuns: 50 },
    );
  });

  function rowsOf({ rows }: Known): [string, number][] {
    const found: [string, number][] = [];
    for (let at = 0; at < rows.length; at += KNOWN_WORDS) {
      if (sizeAt(rows, at) > 0)
        found.push([`${sizeAt(rows, at)} ${refAt(rows, at)} ${startAt(rows, at)}`, rows[at + 4]! & 255]);
    }
    return sorted(found);
  }
});
