import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { decodeName } from "../../sys/path-bytes.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { GNU_MAGIC, sealBlock } from "./block.ts";
import { encodePax, type PaxRecord } from "./encode-pax.ts";
import type { TarEntry, TarLimits } from "./entry.ts";
import { encodeTarEntry, TAR_END, tarPadding } from "./header.ts";
import { TarParser } from "./parser.ts";

interface Parsed {
  readonly entries: readonly TarEntry[];
  readonly contents: readonly Buffer[];
  /** All that the handler was told, in order, with adjacent pieces joined. */
  readonly events: readonly string[];
  /** All bytes that were handed over. */
  readonly bytes: Buffer;
}

function parse(tar: Uint8Array, step = tar.length || 1, limits: TarLimits = {}): Parsed {
  const [entries, contents, events, bytes]: [TarEntry[], Buffer[], string[], Uint8Array[]] = [[], [], [], []];
  const piece = (kind: string, chunk: Uint8Array): void => {
    expect(chunk.length).toBeGreaterThan(0);
    bytes.push(Buffer.from(chunk));
    const last = events.at(-1)?.split(" ");
    if (last?.[0] === kind) events.pop();
    events.push(`${kind} ${chunk.length + (last?.[0] === kind ? Number(last[1]) : 0)}`);
  };
  const parser = new TarParser(
    {
      raw: (chunk) => piece("raw", chunk),
      entry(entry) {
        entries.push(entry);
        contents.push(Buffer.alloc(0));
        events.push(`entry ${entry.name}`);
      },
      data(chunk) {
        piece("data", chunk);
        contents.push(Buffer.concat([contents.pop() ?? Buffer.alloc(0), chunk]));
      },
      endEntry: () => void events.push("end"),
      globalHeader: (name) => void events.push(`global ${name}`),
      endOfArchive: () => void events.push("end of archive"),
    },
    limits,
  );
  for (let at = 0; at < tar.length; at += step) parser.write(tar.subarray(at, at + step));
  parser.end();
  expect(parser.entries).toBe(entries.length);
  expect(parser.offset).toBe(tar.length);
  return { entries, contents, events, bytes: Buffer.concat(bytes) };
}

const cat = (...parts: Uint8Array[]): Buffer => Buffer.concat(parts);
const padded = (content: Uint8Array): Buffer => cat(content, tarPadding(content.length));
const text = (content: string): Buffer => Buffer.from(content, "latin1");

/** A plain header, with fields changed by offset, and its checksum made right. */
function header(name: string, fields: Record<number, string> = {}): Buffer {
  const block = Buffer.from(encodeTarEntry({ type: "file", name }));
  for (const [at, value] of Object.entries(fields)) block.write(value, Number(at), "latin1");
  sealBlock(block);
  return block;
}

const octal = (value: number): string => `${value.toString(8).padStart(11, "0")}\0`;
const withPax = (records: readonly PaxRecord[], block: Uint8Array): Buffer => cat(encodePax("x", records), block);
const one = (tar: Uint8Array): TarEntry => {
  const { entries } = parse(tar);
  expect(entries).toHaveLength(1);
  return entries[0] as TarEntry;
};
const refuses = (tar: Uint8Array, code = "LAYER_INVALID", limits: TarLimits = {}): void => {
  for (const step of [1 << 20, 100]) {
    expect(() => parse(tar, step, limits)).toThrow(expect.objectContaining({ code }));
  }
};

const timeOf = (mtime: string): unknown => one(withPax([["mtime", mtime]], header("a"))).modifiedAt;

/** A sparse map as old GNU headers spell it. */
const pairs = (...numbers: number[]): string => numbers.map((number) => octal(number)).join("");
const oldGnu = (size: number, stored: number, map: string, extended = "\0"): Buffer =>
  header("s", { 257: GNU_MAGIC, 156: "S", 124: octal(stored), 386: map, 482: extended, 483: octal(size) });

function outcome(tar: Uint8Array, step: number): unknown {
  try {
    const { events, entries, bytes } = parse(tar, step);
    expect(bytes.equals(Buffer.from(tar))).toBe(true);
    return { events, entries };
  } catch (error) {
    if (!isVarveError(error)) throw error;
    expect(["LAYER_INVALID", "LAYER_LIMIT"]).toContain(error.code);
    return error.message;
  }
}

describe("the end of an archive", () => {
  const member = cat(header("a", { 124: octal(3) }), padded(text("abc")));

  it("is two blocks of zeros, one, or the end of the stream", () => {
    for (const end of [TAR_END, TAR_END.subarray(0, 512), Buffer.alloc(0)]) {
      expect(parse(cat(member, end)).events.slice(0, 4)).toEqual(["raw 512", "entry a", "data 3", "end"]);
      expect(parse(cat(member, end)).events.at(-1)).toBe("end of archive");
    }
    expect(parse(Buffer.alloc(0)).events).toEqual(["end of archive"]);
    expect(parse(TAR_END).events).toEqual(["raw 1024", "end of archive"]);
  });

  it("may lack the last padding, or a part of it, as Go allows", () => {
    expect(parse(member.subarray(0, 515)).entries).toHaveLength(1);
    expect(parse(member.subarray(0, 700)).entries).toHaveLength(1);
  });

  it("is followed by nothing that is looked at", () => {
    const { entries, events } = parse(cat(member, TAR_END, member, text("junk")), 100);
    expect(entries).toHaveLength(1);
    expect(events.slice(-3)).toEqual(["raw 1533", "end of archive", "raw 1028"]);
  });

  it("is no single block of zeros before more members", () => refuses(cat(member, Buffer.alloc(512), member)));

  it("is never inside a header, an extension, a map or a payload", () => {
    refuses(member.subarray(0, 100));
    refuses(member.subarray(0, 514));
    refuses(cat(member, Buffer.alloc(700)));
    refuses(withPax([["path", "b"]], header("a")).subarray(0, 515));
    const sparse = encodeTarEntry({ type: "file", name: "s", size: 9, storedSize: 0, sparse: [] });
    refuses(sparse.subarray(0, sparse.length - 1));
  });

  it("takes no more bytes, and an error stays", () => {
    const parser = new TarParser({ entry() {}, data() {}, endEntry() {} });
    parser.end();
    parser.end();
    expect(() => parser.write(member)).toThrow("bytes follow the end");
    const broken = new TarParser({ entry() {}, data() {}, endEntry() {} });
    expect(() => broken.write(Buffer.alloc(512, 1))).toThrow("checksum");
    expect(() => broken.write(member)).toThrow("checksum");
    expect(() => broken.end()).toThrow("checksum");
  });

  it("is not reached when the handler throws", () => {
    const mine = new Error("mine");
    const parser = new TarParser({
      entry() {
        throw mine;
      },
      data() {},
      endEntry() {},
    });
    expect(() => parser.write(member)).toThrow(mine);
    expect(() => parser.end()).toThrow(mine);
  });
});

describe("header fields", () => {
  it("have a checksum of unsigned or of signed bytes", () => {
    const block = header("caf_", { 3: "\xe9" });
    const name = decodeName(text("caf\xe9"));
    expect(one(block).name).toBe(name);
    const sum = Number.parseInt(block.toString("latin1", 148, 154), 8);
    block.write(`${(sum - 256).toString(8).padStart(6, "0")}\0 `, 148);
    expect(one(block).name).toBe(name);
    block.write("000000\0 ", 148);
    refuses(block);
    block.write("garbage!", 148);
    refuses(block);
  });

  it("are octal, blank, or base-256", () => {
    expect(one(header("a", { 108: "        ", 116: "\0\0\0\0\0\0\0\0" }))).toMatchObject({ uid: 0, gid: 0 });
    expect(one(header("a", { 108: "  1750 \0", 116: "1750\0jun" }))).toMatchObject({ uid: 1000, gid: 1000 });
    expect(one(header("a", { 108: "\x80\0\0\x01\0\0\0\0" })).uid).toBe(2 ** 32);
    expect(one(header("a", { 136: "\xff".repeat(12) })).modifiedAt).toEqual({ seconds: -1, nanoseconds: 0 });
    expect(one(header("a", { 136: `${"\xff".repeat(10)}\xfe\x00` })).modifiedAt.seconds).toBe(-512);
    refuses(header("a", { 108: "12x\0    " }));
    refuses(header("a", { 108: "-1\0     " }));
    refuses(header("a", { 136: "\x80\xff".padEnd(12, "\xff") }));
    refuses(header("a", { 124: "\xff".repeat(12) }));
    refuses(header("a", { 124: "\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff" }));
    refuses(header("a", { 108: "\x80\x7f\xff\xff\xff\xff\xff\xff" }));
  });

  it("belong to their dialect", () => {
    const v7 = header("a", { 257: "\0".repeat(8), 265: "root\0", 329: "junk", 345: "prefix" });
    expect(one(v7)).toMatchObject({ name: "a", userName: "", deviceMajor: 0 });
    expect(one(header("a", { 265: "u\0", 297: "g".repeat(32), 345: "p/q\0" }))).toMatchObject({
      name: "p/q/a",
      userName: "u",
      groupName: "g".repeat(32),
    });
    expect(one(header("a", { 345: "p".repeat(155) })).name).toBe(`${"p".repeat(155)}/a`);
    const star = { 345: "p\0", 476: octal(77), 488: octal(78), 508: "tar\0" };
    expect(one(header("a", star))).toMatchObject({ name: "p/a", accessedAt: { seconds: 77, nanoseconds: 0 } });
    refuses(header("a", { ...star, 476: "junk" }));
    const gnu = { 257: GNU_MAGIC, 345: octal(99) };
    expect(one(header("a", gnu))).toMatchObject({ name: "a", accessedAt: { seconds: 99, nanoseconds: 0 } });
    expect(one(header("a", { 257: GNU_MAGIC }))).toMatchObject({ name: "a", accessedAt: undefined });
  });

  it("hold a prefix in the GNU headers of Go before 1.8", () => {
    expect(one(header("a", { 257: GNU_MAGIC, 345: "some/prefix" })).name).toBe("some/prefix/a");
    expect(one(header("a", { 257: GNU_MAGIC, 345: "\xe9t\xe9" })).name).toBe("a");
  });

  it("tell the type; old files that end in a slash are directories", () => {
    const types = ["0", "\0", "7", "1", "2", "3", "4", "5", "6"].map((flag) => one(header("x", { 156: flag })).type);
    expect(types).toEqual(["file", "file", "file", "link", "symlink", "char", "block", "directory", "fifo"]);
    expect(one(header("d/", { 156: "\0", 124: octal(600) }))).toMatchObject({ type: "directory", storedSize: 0 });
    expect(one(header("d/", { 156: "0" })).type).toBe("file");
    for (const flag of ["D", "M", "V", "N", "A", "X", "8", "\xff"]) refuses(header("x", { 156: flag }));
  });

  it("announce no data but for files", () => {
    for (const flag of ["1", "2", "3", "4", "5", "6"]) {
      const { entries, events } = parse(cat(header("x", { 156: flag, 124: octal(1000) }), header("y")));
      expect(entries).toMatchObject([{ storedSize: 0, size: 0 }, { name: "y" }]);
      expect(events).not.toContain("data");
    }
  });
});

describe("extensions", () => {
  it("override what the header says", () => {
    const records: PaxRecord[] = [
      ...([
        ["path", "long/größe"],
        ["linkpath", "target"],
        ["uid", "4000000000"],
        ["gid", "5"],
      ] as const),
      ...([
        ["uname", "käthe"],
        ["gname", "users"],
        ["mtime", "1700000000.000000001"],
        ["atime", "-0.5"],
      ] as const),
      ["ctime", "5"],
      ["SCHILY.xattr.security.selinux", text("a\0b\0")],
      ["SCHILY.xattr.user.größe", text("\xff")],
      ["LIBARCHIVE.xattr.user.x", "AAAA"],
      ["comment", "hello"],
    ];
    expect(one(withPax(records, header("short", { 156: "2", 157: "t" })))).toMatchObject({
      name: "long/größe",
      linkName: "target",
      uid: 4_000_000_000,
      gid: 5,
      userName: "käthe",
      groupName: "users",
      modifiedAt: { seconds: 1_700_000_000, nanoseconds: 1 },
      accessedAt: { seconds: -1, nanoseconds: 500_000_000 },
      xattrs: new Map([
        ["security.selinux", Uint8Array.from(text("a\0b\0"))],
        ["user.größe", Uint8Array.of(0xff)],
      ]),
    });
  });

  it("rule the length of the payload", () => {
    const tar = cat(
      withPax([["size", "700"]], header("a", { 124: octal(3) })),
      padded(Buffer.alloc(700, "x")),
      header("b"),
    );
    const { entries, contents } = parse(tar);
    expect(entries.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(contents[0]?.length).toBe(700);
    refuses(withPax([["size", "-1"]], header("a")));
    refuses(withPax([["size", "9007199254740993"]], header("a")));
  });

  it("override nothing with an empty value, and count a key once", () => {
    const repeated = cat(text("9 path=a\n"), text("9 path=b\n"), text("8 path=\n"));
    const carrier = header("x", { 156: "x", 124: octal(repeated.length) });
    expect(one(cat(carrier, padded(repeated), header("plain"))).name).toBe("plain");
    expect(one(withPax([["SCHILY.xattr.user.a", ""]], header("a"))).xattrs).toBeUndefined();
  });

  it("cut times to nanoseconds", () => {
    expect(timeOf("1.1234567899")).toEqual({ seconds: 1, nanoseconds: 123_456_789 });
    expect(timeOf("-1.25")).toEqual({ seconds: -2, nanoseconds: 750_000_000 });
    expect(timeOf("-1.")).toEqual({ seconds: -1, nanoseconds: 0 });
    expect(timeOf("-0")).toEqual({ seconds: 0, nanoseconds: 0 });
    for (const value of [".5", "1e5", "", "1.-5", "0x5", "99999999999999999999"]) {
      if (value !== "") refuses(withPax([["mtime", value]], header("a")));
    }
  });

  it("are refused when malformed", () => {
    for (const record of [
      "5 a=",
      "9 path=a",
      "path=a\n",
      "99 path=a\n",
      "4 =\n",
      "6 =aa\n",
      "8 patha\n",
      " 9 path=a\n",
      "0 a=b\n",
      "11 path=a\0\n",
      "9 p\0th=a\n",
      "9 uid=1x\n",
      "08 path=\n9 ",
      "99999999999999999999999 path=a\n",
    ]) {
      refuses(cat(header("x", { 156: "x", 124: octal(record.length) }), padded(text(record)), header("a")));
    }
  });

  it("give GNU's long names and links, which win over PAX", () => {
    const long = `${"n".repeat(300)}/`;
    const named = (flag: string, value: string): Buffer =>
      cat(header("././@LongLink", { 257: GNU_MAGIC, 156: flag, 124: octal(value.length) }), padded(text(value)));
    const link = header("short", { 156: "2", 157: "target" });
    const tar = cat(named("K", `${long}\0`), named("L", long), withPax([["path", "pax"]], link));
    expect(one(tar)).toMatchObject({ name: long, linkName: long });
    expect(one(cat(named("L", ""), header("a"))).name).toBe("a");
    expect(one(cat(named("L", "first"), named("L", "a\0junk"), header("b"))).name).toBe("a");
  });

  it("that are global are told of, and apply to nothing", () => {
    const global = Buffer.from(
      encodePax("x", [
        ["path", "everywhere"],
        ["uid", "7"],
      ]),
    );
    global.write("g", 156);
    sealBlock(global.subarray(0, 512));
    const { entries, events } = parse(cat(global, header("a"), withPax([["path", "lost"]], global), header("b")));
    expect(entries).toMatchObject([
      { name: "a", uid: 0 },
      { name: "b", uid: 0 },
    ]);
    expect(events[1]).toBe("global PaxHeaders.0/x");
    const broken = header("g", { 156: "g", 124: octal(4) });
    refuses(cat(broken, padded(text("junk"))));
  });

  it("may stand at the end without a member", () => {
    expect(parse(cat(encodePax("x", [["path", "a"]]), TAR_END)).entries).toEqual([]);
  });
});

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

describe("limits", () => {
  it("hold for members, extensions, names and maps", () => {
    refuses(cat(header("a"), header("b"), header("c")), "LAYER_LIMIT", { entries: 2 });
    refuses(header("x", { 156: "x", 124: octal(1024 * 1024 + 1) }), "LAYER_LIMIT");
    refuses(header("x", { 156: "L", 124: octal(8 ** 10) }), "LAYER_LIMIT");
    refuses(encodeTarEntry({ type: "file", name: "ä".repeat(2049) }), "LAYER_LIMIT");
    refuses(encodeTarEntry({ type: "file", name: "n".repeat(4097) }, { format: "gnu" }), "LAYER_LIMIT");
    refuses(encodeTarEntry({ type: "symlink", name: "a", linkName: "n".repeat(4097) }), "LAYER_LIMIT");
    refuses(header("abc"), "LAYER_LIMIT", { nameBytes: 2 });
    expect(one(encodeTarEntry({ type: "file", name: "ä".repeat(2048) })).name).toHaveLength(2048);
    const sparse = Array.from({ length: 6 }, (_, i) => ({ offset: i, length: 1 }));
    const map = encodeTarEntry({ type: "file", name: "s", size: 99, storedSize: 6, sparse });
    refuses(cat(map, padded(Buffer.alloc(6))), "LAYER_LIMIT", { sparseExtents: 5 });
  });

  it("are told with the place", () => {
    try {
      parse(cat(header("a"), header("b")), 100, { entries: 1 });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ detail: { offset: 512 } });
      expect((error as Error).message).toContain("at byte 512");
    }
  });
});

describe("any archive", () => {
  const members = cat(
    encodeTarEntry({ type: "directory", name: "d/", xattrs: new Map([["user.a", Buffer.from("1")]]) }),
    encodeTarEntry({ type: "file", name: "d/file", size: 700, modifiedAt: { seconds: 5, nanoseconds: 6 } }),
    padded(Buffer.alloc(700, "d")),
    encodeTarEntry({ type: "symlink", name: "n".repeat(150), linkName: "l".repeat(150) }, { format: "gnu" }),
    encodeTarEntry({ type: "file", name: "s", size: 9e9, storedSize: 2, sparse: [{ offset: 1e9, length: 2 }] }),
    padded(text("ab")),
    TAR_END,
    text("junk"),
  );

  it("tells the same story at any chunking, gives every byte once, and fails only with a coded error", () => {
    const mutation = fc.tuple(fc.nat(members.length - 1), fc.nat(255), fc.boolean());
    fc.assert(
      fc.property(fc.array(mutation, { maxLength: 4 }), fc.integer({ min: 1, max: 1500 }), (mutations, step) => {
        const tar = Buffer.from(members);
        for (const [at, value, seal] of mutations) {
          tar[at] = value;
          const block = tar.subarray(at - (at % 512), at - (at % 512) + 512);
          if (seal && block.length === 512) sealBlock(block);
        }
        expect(outcome(tar, step)).toEqual(outcome(tar, tar.length));
      }),
      { numRuns: 500 },
    );
  });

  it("may hold files beyond 4 GiB", () => {
    const [size, zeros] = [5 * 2 ** 30, Buffer.alloc(2 ** 26)];
    let taken = 0;
    const names: string[] = [];
    const parser = new TarParser({
      entry: (entry) => void names.push(`${entry.name} at ${parser.offset}`),
      data: (bytes) => void (taken += bytes.length),
      endEntry() {},
    });
    parser.write(encodeTarEntry({ type: "file", name: "big", size }, { format: "gnu" }));
    for (let at = 0; at < size; at += zeros.length) parser.write(zeros);
    parser.write(header("next"));
    parser.end();
    expect(names).toEqual(["big at 512", `next at ${512 + size + 512}`]);
    expect(taken).toBe(size);
  });

  it("does not hang or grow on noise", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 3000 }), fc.integer({ min: 1, max: 999 }), (noise, step) => {
        expect(outcome(noise, step)).toEqual(outcome(noise, noise.length));
      }),
      { numRuns: 100 },
    );
  });
});
