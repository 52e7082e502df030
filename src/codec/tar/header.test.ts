import { describe, expect, it } from "vitest";
import * as fc from "fast-check";
import { header, octal, one } from "../../../test/codec/tar-blocks.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import type { TarEntry, TarTime, TarType } from "./entry.ts";
import { encodeTarEntry, TAR_END, tarPadding, type TarEntryInit, type TarFormat } from "./header.ts";
import { TarParser } from "./parser.ts";

function parseOne(bytes: Uint8Array): TarEntry {
  const entries: TarEntry[] = [];
  const parser = new TarParser({ entry: (entry) => entries.push(entry), data() {}, endEntry() {} });
  parser.write(bytes);
  expect(entries).toHaveLength(1);
  return entries[0] as TarEntry;
}

const FLAGS: Record<TarType, string> = {
  file: "0",
  link: "1",
  symlink: "2",
  char: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

const time = (nanoseconds: fc.Arbitrary<number>, least: number): fc.Arbitrary<TarTime> =>
  fc.record({ seconds: fc.integer({ min: least, max: 2 ** 40 }), nanoseconds });
const rawName = fc
  .uint8Array({ minLength: 1, maxLength: 300 })
  .map((bytes) => decodeName(bytes.filter((b) => b !== 0)));
const path = fc
  .array(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), { minLength: 1, maxLength: 6 })
  .map((parts) => parts.join("/").replaceAll("\0", ""));
const anyName = fc.oneof(path, rawName).filter((name) => name !== "");

/** Any entry that the format can hold, with all fields spelled out. */
function anyEntry(format: TarFormat): fc.Arbitrary<TarEntry> {
  const pax = format === "pax";
  const nanoseconds = pax ? fc.integer({ min: 0, max: 999_999_999 }) : fc.constant(0);
  const shortName = fc.string({ minLength: 0, maxLength: 31 }).map((text) => text.replaceAll("\0", ""));
  const id = fc.oneof(fc.nat(65_535), fc.nat(2 ** 31 - 1), fc.maxSafeNat());
  const size = fc.oneof(fc.nat(10_000), fc.integer({ min: 0, max: 2 ** 52 }));
  return fc
    .record({
      type: fc.constantFrom(...(Object.keys(FLAGS) as TarType[])),
      name: anyName,
      linkName: anyName,
      mode: fc.nat(0o7777),
      uid: pax ? id : fc.nat(2 ** 40),
      gid: pax ? id : fc.nat(2 ** 40),
      userName: pax ? fc.oneof(shortName, anyName) : shortName,
      groupName: shortName,
      size,
      modifiedAt: time(nanoseconds, -(2 ** 33)),
      accessedAt: fc.option(time(nanoseconds, -(2 ** 33)), { nil: undefined }),
      deviceMajor: fc.nat(2 ** 32 - 1),
      deviceMinor: fc.nat(2 ** 32 - 1),
      xattrs: fc.array(
        fc.tuple(fc.stringMatching(/^user\.[a-z]{1,9}$/), fc.uint8Array({ minLength: 1, maxLength: 40 })),
      ),
    })
    .map((fields) => {
      const { type, linkName, xattrs } = fields;
      const bytes = type === "file" ? fields.size : 0;
      return Object.assign(fields, {
        linkName: type === "link" || type === "symlink" ? linkName : "",
        size: bytes,
        storedSize: bytes,
        xattrs: pax && xattrs.length > 0 ? new Map(xattrs) : undefined,
        sparse: undefined,
        changedAt: undefined,
        typeFlag: FLAGS[type].charCodeAt(0),
        stated: undefined,
      });
    });
}

describe("tar headers", () => {
  for (const format of ["pax", "gnu"] as const) {
    it(`keep every field of every entry (${format})`, () => {
      fc.assert(
        fc.property(anyEntry(format), (entry) => {
          const bytes = encodeTarEntry(entry, { format });
          expect(bytes.length % 512).toBe(0);
          expect(parseOne(bytes)).toEqual(entry);
          expect(encodeTarEntry(entry, { format })).toEqual(bytes);
        }),
        { numRuns: 500 },
      );
    });
  }

  it("use plain ustar where everything fits", () => {
    const long = `${"d".repeat(90)}/${"e".repeat(60)}/${"f".repeat(100)}`;
    for (const init of [
      { type: "file", name: "a", size: 8 ** 11 - 1 },
      { type: "file", name: long },
      { type: "directory", name: `${"d".repeat(90)}/${"e".repeat(60)}/` },
      { type: "file", name: decodeName(Buffer.from("caf\xe9", "latin1")) },
    ] satisfies TarEntryInit[]) {
      const bytes = encodeTarEntry(init);
      expect(bytes.length).toBe(512);
      expect(encodeTarEntry(init, { format: "ustar" })).toEqual(bytes);
      expect(parseOne(bytes).name).toBe(init.name);
    }
  });

  it("have defaults by type", () => {
    expect(parseOne(encodeTarEntry({ type: "directory", name: "d/" })).mode).toBe(0o755);
    expect(parseOne(encodeTarEntry({ type: "symlink", name: "s", linkName: "d" })).mode).toBe(0o777);
    expect(parseOne(encodeTarEntry({ type: "file", name: "f", storedSize: 7 }))).toMatchObject({
      mode: 0o644,
      size: 7,
    });
  });

  it("refuse what a format cannot hold, rather than drop it", () => {
    const xattrs = new Map([["user.a", Uint8Array.of(1)]]);
    const half = { seconds: 1, nanoseconds: 5 };
    const cases: [TarEntryInit, TarFormat][] = [
      [{ type: "file", name: "a", xattrs }, "ustar"],
      [{ type: "file", name: "a", xattrs }, "gnu"],
      [{ type: "file", name: "a", modifiedAt: half }, "gnu"],
      [{ type: "file", name: "a", modifiedAt: half }, "ustar"],
      [{ type: "file", name: "ä" }, "ustar"],
      [{ type: "file", name: "a".repeat(101) }, "ustar"],
      [{ type: "file", name: "a", size: 8 ** 11 }, "ustar"],
      [{ type: "file", name: "a", userName: "u".repeat(40) }, "gnu"],
      [{ type: "file", name: "a\0b" }, "pax"],
      [{ type: "file", name: "a", sparse: [], size: 5 }, "gnu"],
      [{ type: "file", name: "a", xattrs: new Map([["a=b", Uint8Array.of(1)]]) }, "pax"],
    ];
    for (const [entry, format] of cases) {
      expect(() => encodeTarEntry(entry, { format })).toThrow(expect.objectContaining({ code: "LAYER_INVALID" }));
    }
  });

  it("carry a sparse map in format 1.0", () => {
    const sparse = Array.from({ length: 200 }, (_, i) => ({ offset: i * 8192, length: 512 }));
    const entry: TarEntryInit = { type: "file", name: "disk", size: 2 ** 33, storedSize: 200 * 512, sparse };
    const parsed = parseOne(encodeTarEntry(entry));
    expect(parsed).toMatchObject({ name: "disk", size: 2 ** 33, storedSize: 200 * 512, sparse });
  });

  it("pad to whole blocks", () => {
    expect([0, 1, 511, 512, 513].map((size) => tarPadding(size).length)).toEqual([0, 511, 1, 0, 511]);
    expect(TAR_END.length).toBe(1024);
  });

  it("tell what means nothing apart from what does", () => {
    expect(one(header("a")).stated).toBeUndefined();
    const file = one(header("a", { 100: "0100644\0", 157: "b" }));
    expect(file).toMatchObject({ mode: 0o644, linkName: "", stated: { mode: 0o100644, linkName: "b", size: 0 } });
    const link = one(header("a", { 156: "1", 157: "b", 124: octal(5) }));
    expect(link).toMatchObject({ linkName: "b", size: 0, storedSize: 0, stated: { linkName: "b", size: 5 } });
  });
});
