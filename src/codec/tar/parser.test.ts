import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { isVarveError } from "../../errors/varve-error.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import { cat, header, octal, one, padded, parse, refuses, text, withPax } from "../../../test/codec/tar-blocks.ts";
import { encodeTarEntry, TAR_END } from "./header.ts";
import { TarParser } from "./parser.ts";
import { GNU_MAGIC, sealBlock } from "./block.ts";

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
