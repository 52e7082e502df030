import { randomBytes } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inChunks } from "../../../test/codec/tar-splits.ts";
import { collidingNames } from "../../../test/kit/sources/colliding-names.ts";
import { allKinds } from "../../../test/kit/images/chunked-members.ts";
import { zstdChunkedLayer, type TocDocument } from "../../../test/kit/images/zstd-chunked.ts";
import { digestOf } from "../../oci/digest.ts";
import { readChunkedToc, type ChunkedToc } from "./toc.ts";

const END = 1_000_000_000;
const read = (toc: string | Uint8Array, step = 999, end = END): Promise<ChunkedToc> =>
  readChunkedToc(inChunks(toc, step), end);
const invalid = expect.objectContaining({ code: "TOC_INVALID" });
const document = (entries: unknown[], more: object = {}): string => JSON.stringify({ version: 1, entries, ...more });
const digest = digestOf("x");
const file = (name: string, size: number, offset: number, endOffset: number, more: object = {}): object => ({
  type: "reg",
  name,
  size,
  offset,
  endOffset,
  digest,
  ...more,
});
const chunk = (name: string, chunkOffset: number, chunkSize: number, offset: number, more: object = {}): object => ({
  type: "chunk",
  name,
  chunkOffset,
  chunkSize,
  offset,
  chunkDigest: digest,
  ...more,
});
/** A file of 30 bytes in three chunks, the second of them zeros. */
const chunked = (): object[] => [
  file("a", 30, 100, 160, { chunkSize: 10, chunkDigest: digest }),
  chunk("a", 10, 15, 120, { chunkType: "zeros" }),
  chunk("a", 25, 5, 140),
];

describe("a table of contents", () => {
  it("tells pieces as the writer made them, however it is cut", async () => {
    const { toc } = zstdChunkedLayer(allKinds());
    const { entries } = JSON.parse(toc.toString()) as TocDocument;
    for (const step of [1, 7, 100_000]) {
      const table = await read(toc, step);
      expect(table.entries).toBe(15);
      const names = entries.filter(({ type }) => type !== "chunk").map(({ name }) => name);
      expect(names.map((name, at) => table.find(name, at))).toEqual(names.map((_, at) => at));
      expect(names.map((name) => table.find(name, 99))).toEqual(names.map((_, at) => at));
      expect(table.find("nothing", 0)).toBe(-1);
      const long = table.pieceOf(9)!;
      expect(table.pieces.hasChunks(long)).toBe(true);
      expect(table.pieces.behind(long) - long).toBe(6);
      const chunks = entries.filter(({ name }) => name === names[9]);
      for (const [at, record] of chunks.entries()) {
        const piece = long + 1 + at;
        expect(table.pieces.digest(piece)).toBe(record["chunkDigest"]);
        expect(table.pieces.start(piece)).toBe(record["chunkOffset"] ?? 0);
        expect(table.pieces.size(piece)).toBe(record["chunkSize"]);
        expect(table.pieces.offset(piece)).toBe(record["offset"]);
        expect(table.pieces.end(piece)).toBe(chunks[at + 1]?.["offset"] ?? chunks[0]?.["endOffset"]);
        expect(table.pieces.name(piece)).toBe(names[9]);
      }
      expect(table.pieces.digest(long)).toBe(chunks[0]?.["digest"]);
    }
  });

  it("knows zeros, empty files and files of one chunk", async () => {
    const table = await read(document([{ type: "reg", name: "empty" }, ...chunked(), file("one", 5, 200, 210)]));
    expect(table.pieceOf(0)).toBeUndefined();
    expect([0, 1, 2, 3, 4].map((piece) => table.pieces.isZeros(piece))).toEqual([false, false, true, false, false]);
    expect([0, 1, 2, 3, 4].map((piece) => table.pieces.end(piece))).toEqual([160, 120, 140, 160, 210]);
    expect(table.pieceOf(2)).toBe(4);
    expect(table.tarSplitDigest).toBeUndefined();
  });

  it("may come in any order, indented, with members that nobody knows", async () => {
    const value = {
      tarSplitDigest: digest,
      extra: [{ "}": "]" }, 1.5, null],
      entries: [file("b", 1, 50, 60), file("ü\u2028", 1, 10, 20)],
      version: 1,
    };
    const table = await read(JSON.stringify(value, undefined, "\t"), 3);
    expect(table.tarSplitDigest).toBe(digest);
    expect(table.find("ü\u2028", 0)).toBe(1);
    expect((await read('{"version":1,"entries":[]}')).entries).toBe(0);
    expect((await read('{"version":1,"entries":[{"type":"dir"}]}')).find("", 0)).toBe(0);
    expect((await read('{"entries":null,"version":1}\n')).entries).toBe(0);
  });

  it.each([
    ["nothing", ""],
    ["a list", "[]"],
    ["a document that is cut", document(chunked()).slice(0, -1)],
    ["one that goes on", `${document([])}{}`],
    ["a comma too many", '{"version":1,"entries":[{"type":"dir","name":"a"},]}'],
    ["two lists", '{"version":1,"entries":[],"entries":[]}'],
    ["entries that are none", '{"version":1,"entries":{}}'],
    ["an entry that is none", '{"version":1,"entries":[5]}'],
    ["nesting without end", `{"version":1,"x":${"[".repeat(100_000)}`],
    ["an entry without end", `{"version":1,"entries":[{"name":"${"x".repeat(2 << 20)}`],
    ["another version", '{"version":2,"entries":[]}'],
    ["no version", '{"entries":[]}'],
    ["a wrong tarSplitDigest", document([], { tarSplitDigest: "sha256:0" })],
    ["an unknown type", document([{ type: "socket", name: "a" }])],
    [
      "a name twice",
      document([
        { type: "dir", name: "a" },
        { type: "reg", name: "a" },
      ]),
    ],
    ["a name with a NUL", document([{ type: "dir", name: "a\0" }])],
    ["a name with half a character", '{"version":1,"entries":[{"type":"dir","name":"\\udcff"}]}'],
    ["a name that is a number", document([{ type: "dir", name: 5 }])],
    ["a negative size", document([file("a", -1, 10, 20)])],
    ["a size beyond numbers", document([file("a", 2 ** 60, 10, 20)])],
    ["half a byte", document([file("a", 1.5, 10, 20)])],
    ["an offset behind its end", document([file("a", 1, 20, 20)])],
    ["an end beyond the frames", document([file("a", 1, 20, END + 1)])],
    ["content that is nowhere", document([{ type: "reg", name: "a", size: 5, digest }])],
    ["a broken digest", document([file("a", 1, 10, 20, { digest: "sha256:xyz" })])],
    ["another algorithm", document([file("a", 1, 10, 20, { digest: digestOf("x", "sha512") })])],
    ["an impossible time", document([{ type: "dir", name: "a", modtime: "yesterday" }])],
    ["impossible attributes", document([{ type: "dir", name: "a", xattrs: { a: 5 } }])],
    ["an unknown kind of chunk", document([file("a", 1, 10, 20, { chunkType: "ones" })])],
    ["a chunk of no file", document([chunk("a", 10, 10, 100)])],
    ["a chunk of another file", document([chunked()[0], chunk("b", 10, 20, 120)])],
    ["a chunk that is missing", document(chunked().slice(0, 2))],
    ["a gap between chunks", document([chunked()[0], chunk("a", 11, 19, 120)])],
    ["chunks that overlap", document([chunked()[0], chunk("a", 9, 21, 120)])],
    ["chunks beyond their file", document([chunked()[0], chunk("a", 10, 21, 120)])],
    ["an empty chunk", document([chunked()[0], chunk("a", 10, 0, 120), chunk("a", 10, 20, 130)])],
    ["chunks that share frames", document([chunked()[0], chunk("a", 10, 20, 100)])],
    ["a chunk behind its file's frames", document([chunked()[0], chunk("a", 10, 20, 160)])],
    ["a first chunk that begins later", document([file("a", 30, 100, 160, { chunkSize: 10, chunkOffset: 5 })])],
    ["a chunk larger than its file", document([file("a", 30, 100, 160, { chunkSize: 31 })])],
    ["files that share frames", document([file("a", 1, 10, 20), file("b", 1, 19, 30)])],
    [
      "files that share frames, out of order",
      document([file("a", 1, 50, 60), file("b", 1, 10, 20), file("c", 1, 15, 30)]),
    ],
  ])("is refused for %s", async (_, toc) => {
    await expect(read(toc, 4099)).rejects.toEqual(invalid);
  });

  it("is refused for bytes that are not UTF-8", async () => {
    await expect(read(Buffer.from(document([{ type: "dir", name: "\xe9" }]), "latin1"))).rejects.toEqual(invalid);
  });

  it("is refused when it has too many entries, or names without end, within bounded memory", async () => {
    // The same thousand names over and over: that they come again is found out in the end only.
    async function* endless(name: string): AsyncGenerator<Buffer> {
      yield Buffer.from('{"version":1,"entries":[');
      const part = Array.from({ length: 1000 }, (_, at) => `{"type":"dir","name":"${name}${at}"},`).join("");
      for (;;) yield Buffer.from(part);
    }
    const before = process.memoryUsage.rss();
    const limit = expect.objectContaining({ code: "TOC_LIMIT" });
    await expect(readChunkedToc(endless("d"), END, { mostEntries: 20_000 })).rejects.toEqual(limit);
    await expect(readChunkedToc(endless("n".repeat(8000)), END)).rejects.toEqual(limit);
    expect(process.memoryUsage.rss() - before).toBeLessThan(300 << 20);
  });

  it("is refused when its names are made to be found in one place", async () => {
    const entries = collidingNames(10).map((name) => ({ type: "dir", name }));
    await expect(read(document(entries), 1 << 20)).rejects.toMatchObject({ code: "TOC_LIMIT" });
  });

  it("is read or refused, but never breaks the reader", async () => {
    const good = Buffer.from(
      document([...chunked(), file("é", 5, 200, 210), { type: "dir", name: "d", xattrs: { a: "" } }]),
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.tuple(fc.nat(good.length - 1), fc.oneof(fc.nat(255), fc.constantFrom(...Buffer.from('{}[]",:\\0')))),
          { maxLength: 4 },
        ),
        fc.integer({ min: 1, max: 200 }),
        async (mutations, step) => {
          const bytes = Buffer.from(good);
          for (const [at, value] of mutations) bytes[at] = value;
          const outcome = async (by: number): Promise<string> => {
            try {
              const { entries, pieces } = await read(bytes, by);
              return `${entries} ${pieces.length}`;
            } catch (error) {
              expect(error).toEqual(invalid);
              return "refused";
            }
          };
          expect(await outcome(step)).toBe(await outcome(1000));
        },
      ),
      { numRuns: 500 },
    );
  });

  it("is read as JSON.parse reads it", async () => {
    const name = fc.string({ unit: "grapheme", minLength: 1, maxLength: 12 }).filter((text) => !text.includes("\0"));
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(name, { maxLength: 20 }),
        fc.constantFrom("", " ", "\t"),
        fc.integer({ min: 1, max: 50 }),
        async (names, indent, step) => {
          const toc = JSON.stringify(
            { version: 1, entries: names.map((each) => ({ type: "dir", name: each })) },
            undefined,
            indent,
          );
          const table = await read(toc, step);
          expect(names.map((each) => table.find(each, randomBytes(1)[0]!))).toEqual(names.map((_, at) => at));
        },
      ),
      { numRuns: 100 },
    );
  });
});
