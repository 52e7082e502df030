import { describe, expect, it } from "vitest";
import { cat, header, octal, one, padded, parse, refuses, text, withPax } from "../../../test/codec/tar-blocks.ts";
import { type PaxRecord } from "./encode-pax.ts";
import { encodeTarEntry } from "./header.ts";
import { GNU_MAGIC } from "./block.ts";

/** A sparse map as old GNU headers spell it. */
const pairs = (...numbers: number[]): string => numbers.map((number) => octal(number)).join("");
const oldGnu = (size: number, stored: number, map: string, extended = "\0"): Buffer =>
  header("s", { 257: GNU_MAGIC, 156: "S", 124: octal(stored), 386: map, 482: extended, 483: octal(size) });

describe("sparse files", () => {
  it("in GNU's old format have a map in the header, and in blocks after it", () => {
    const content = Buffer.alloc(10, "x");
    expect(one(cat(oldGnu(1000, 10, pairs(100, 10, 1000, 0)), padded(content)))).toMatchObject({
      name: "s",
      type: "file",
      size: 1000,
      storedSize: 10,
      sparse: [{ offset: 100, length: 10 }],
    });
    const more = Buffer.alloc(1024);
    more.write(pairs(...Array.from({ length: 21 }, (_, i) => [50 + i * 2, 1]).flat()), 0, "latin1");
    more[504] = 1;
    more.write(pairs(200, 3), 512, "latin1");
    const first = oldGnu(1000, 28, pairs(0, 1, 2, 1, 4, 1, 6, 1), "\x01");
    const { entries, contents } = parse(cat(first, more, padded(Buffer.alloc(28, "y")), header("next")), 77);
    expect(entries[0]?.sparse).toHaveLength(26);
    expect(contents[0]?.length).toBe(28);
    expect(entries[1]?.name).toBe("next");
  });

  it("in PAX formats 0.0 and 0.1 have it in the records", () => {
    const v01: PaxRecord[] = [
      ...([
        ["GNU.sparse.size", "1000"],
        ["GNU.sparse.numblocks", "2"],
        ["GNU.sparse.map", "0,5,100,5"],
      ] as const),
      ["GNU.sparse.name", "real/name"],
    ];
    const wanted = {
      size: 1000,
      storedSize: 10,
      sparse: [
        { offset: 0, length: 5 },
        { offset: 100, length: 5 },
      ],
    };
    const stored = cat(header("GNUSparseFile/s", { 124: octal(10) }), padded(Buffer.alloc(10, "x")));
    expect(one(withPax(v01, stored))).toMatchObject({ ...wanted, name: "real/name" });
    const v00 = ["22 GNU.sparse.size=1000\n", "26 GNU.sparse.numblocks=2\n", "23 GNU.sparse.offset=0\n"]
      .concat(["25 GNU.sparse.numbytes=5\n", "25 GNU.sparse.offset=100\n", "25 GNU.sparse.numbytes=5\n"])
      .map((record) => record.replace(/^\d+/, () => String(record.length)));
    const records = text(v00.join(""));
    const carrier = header("x", { 156: "x", 124: octal(records.length) });
    expect(one(cat(carrier, padded(records), stored))).toMatchObject({ ...wanted, name: "GNUSparseFile/s" });
  });

  it("in PAX format 1.0 have it before the data, where it counts as raw", () => {
    const sparse = Array.from({ length: 300 }, (_, i) => ({ offset: i * 1_000_000, length: 1 }));
    const head = encodeTarEntry({ type: "file", name: "s", size: 2 ** 40, storedSize: 300, sparse });
    const tar = cat(head, padded(Buffer.alloc(300, "z")), header("next"));
    for (const step of [1, 511, tar.length]) {
      const { entries, events, bytes } = parse(tar, step);
      expect(entries[0]).toMatchObject({ name: "s", size: 2 ** 40, storedSize: 300, sparse });
      expect(events.slice(0, 3)).toEqual([`raw ${head.length}`, "entry s", "data 300"]);
      expect(bytes.equals(tar)).toBe(true);
    }
  });

  it("may be all hole, or not sparse at all after an unknown version", () => {
    expect(one(encodeTarEntry({ type: "file", name: "s", size: 5000, storedSize: 0, sparse: [] }))).toMatchObject({
      size: 5000,
      storedSize: 0,
      sparse: [],
    });
    const unknown: PaxRecord[] = [
      ["GNU.sparse.major", "2"],
      ["GNU.sparse.minor", "0"],
    ];
    expect(one(withPax(unknown, header("a"))).sparse).toBeUndefined();
  });

  it("are refused when their map lies", () => {
    const body = padded(Buffer.alloc(10));
    for (const map of [pairs(5, 5, 0, 5), pairs(0, 6, 5, 4), pairs(995, 10), pairs(0, 9), pairs(0, 11)]) {
      refuses(cat(oldGnu(1000, 10, map), body));
    }
    refuses(cat(oldGnu(1000, 10, `${"\xff".repeat(12)}${octal(10)}`), body));
    refuses(header("s", { 156: "S", 483: octal(0) }));
    const pax = (...records: PaxRecord[]): Buffer => withPax(records, cat(header("s", { 124: octal(10) }), body));
    refuses(pax(["GNU.sparse.map", "0,10"], ["GNU.sparse.numblocks", "2"], ["GNU.sparse.size", "99"]));
    refuses(pax(["GNU.sparse.map", "0,10"], ["GNU.sparse.size", "99"]));
    refuses(pax(["GNU.sparse.map", "0,1x"], ["GNU.sparse.numblocks", "1"], ["GNU.sparse.size", "99"]));
    refuses(pax(["GNU.sparse.map", "0,10"], ["GNU.sparse.numblocks", "1"], ["GNU.sparse.size", "-9"]));
    refuses(pax(["GNU.sparse.major", "1"], ["GNU.sparse.minor", "0"], ["GNU.sparse.realsize", "99"]));
    refuses(
      withPax(
        [
          ["GNU.sparse.map", "0,0"],
          ["GNU.sparse.numblocks", "1"],
        ],
        header("d", { 156: "5" }),
      ),
    );
    const v10: PaxRecord[] = [
      ["GNU.sparse.major", "1"],
      ["GNU.sparse.minor", "0"],
      ["GNU.sparse.realsize", "99"],
    ];
    for (const map of ["x\n", "-1\n", "1\n0\nx\n", "9".repeat(100), "1\n\n\n", "2\n0\n1\n"]) {
      refuses(withPax(v10, cat(header("s", { 124: octal(512) }), padded(text(map)))));
    }
  });
});
