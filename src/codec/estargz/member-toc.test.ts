import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { inChunks } from "../../../test/codec/tar-splits.ts";
import { digestOf } from "../../oci/digest.ts";
import { readMemberToc, type MemberToc } from "./member-toc.ts";

const END = 10_000;
const digest = digestOf("x");
const document = (entries: unknown[]): string => JSON.stringify({ version: 1, entries }, undefined, "\t");
const read = (entries: unknown[] | Uint8Array, step = 99): Promise<MemberToc> =>
  readMemberToc(inChunks(entries instanceof Uint8Array ? entries : document(entries), step), END);
const file = (offset: number, more: object = {}): Record<string, unknown> => ({
  type: "reg",
  name: "f",
  size: 250,
  digest,
  offset,
  chunkSize: 100,
  chunkDigest: digest,
  ...more,
});
const chunk = (offset: number, chunkOffset: number, more: object = {}): Record<string, unknown> => ({
  type: "chunk",
  name: "f",
  offset,
  chunkOffset,
  chunkSize: 100,
  chunkDigest: digest,
  ...more,
});
const invalid = expect.objectContaining({ code: "TOC_INVALID" });

/** The pieces as [start, size, offset, end]. */
function places({ pieces }: MemberToc): number[][] {
  return Array.from({ length: pieces.length }, (_, at) => [
    pieces.start(at),
    pieces.size(at),
    pieces.offset(at),
    pieces.end(at),
  ]);
}

describe("a table of contents of eStargz", () => {
  it("tells of the members that hold a chunk and nothing else", async () => {
    const toc = await read([
      { type: "dir", name: "d/" },
      { type: "reg", name: "small", size: 5, offset: 10, chunkDigest: digest },
      file(50),
      chunk(150, 100),
      chunk(250, 200, { chunkSize: 50 }),
      { type: "reg", name: "after", size: 5, offset: 300, chunkDigest: digest },
    ]);
    expect(places(toc)).toEqual([
      [0, 250, 50, 250],
      [0, 100, 50, 150],
      [100, 100, 150, 250],
    ]);
    expect(toc.pieces.name(1)).toBe("f");
    expect(toc.pieces.hasChunks(0)).toBe(true);
  });

  it("takes a chunk's size from the next one where it is left out", async () => {
    const toc = await read([
      file(50, { chunkSize: 0 }),
      chunk(150, 100, { chunkSize: 0 }),
      chunk(250, 200, { chunkSize: 0 }),
    ]);
    expect(places(toc)).toHaveLength(3);
  });

  it("leaves out chunks that share a member", async () => {
    const shared = [
      file(50, { innerOffset: 7 }),
      chunk(150, 100),
      chunk(150, 200, { innerOffset: 100, chunkSize: 50 }),
    ];
    expect(places(await read(shared))).toEqual([]);
    const partly = [file(50, { innerOffset: 7 }), chunk(150, 100), chunk(250, 200, { chunkSize: 50 })];
    expect(places(await read(partly))).toEqual([
      [0, 250, 150, 250],
      [100, 100, 150, 250],
    ]);
  });

  it("may come from old writers: the file's digest for its only chunk's", async () => {
    const old = await read([{ type: "reg", name: "f", mode: 0o100644, size: 250, digest, offset: 50 }]);
    expect(places(old)).toEqual([]);
  });

  it.each<[string, unknown[]]>([
    ["content without any digest", [file(50, { digest: "", chunkDigest: "" })]],
    ["a first chunk without a digest", [file(50, { chunkDigest: "" }), chunk(150, 100)]],
    ["a chunk without a digest", [file(50), chunk(150, 100, { chunkDigest: "" })]],
    ["a chunk of nothing", [chunk(50, 0)]],
    ["a chunk of an empty file", [{ type: "reg", name: "f" }, chunk(50, 0)]],
    ["a gap", [file(50), chunk(150, 101)]],
    ["an overlap", [file(50), chunk(150, 99)]],
    ["chunks that go back", [file(50), chunk(150, 100), chunk(250, 100)]],
    ["a chunk beyond its file", [file(50), chunk(150, 100, { chunkSize: 151 })]],
    ["a chunk behind its file", [file(50), chunk(150, 250)]],
    ["offsets that go back", [file(50), chunk(49, 100)]],
    ["one offset for two, without an inner offset", [file(50), chunk(50, 100)]],
    ["an offset beyond the table", [file(END)]],
    ["the table itself", [{ type: "reg", name: "stargz.index.json" }]],
    ["no entry", ["f"]],
  ])("is refused for %s", async (_, entries) => {
    await expect(read(entries)).rejects.toEqual(invalid);
  });

  it("is read or refused, but never breaks the reader, and its pieces never overlap", async () => {
    const number = fc.oneof(fc.nat(300), fc.constantFrom(0, 50, 100, 150, 200, 250));
    const entry = fc.record(
      {
        type: fc.constantFrom("reg", "reg", "chunk", "chunk", "dir"),
        name: fc.constantFrom("f", "g"),
        size: number,
        offset: number,
        innerOffset: fc.constantFrom(0, 0, 5),
        chunkOffset: number,
        chunkSize: number,
        digest: fc.constant(digest),
        chunkDigest: fc.constant(digest),
      },
      { requiredKeys: ["type", "digest", "chunkDigest"] },
    );
    const good = [file(50), chunk(150, 100), chunk(250, 200, { chunkSize: 50 })];
    const mutated = fc
      .array(
        fc.tuple(fc.nat(2), fc.constantFrom("offset", "innerOffset", "chunkOffset", "chunkSize", "size"), number),
        { maxLength: 3 },
      )
      .map((edits) => {
        const entries = good.map((each) => structuredClone(each));
        for (const [at, field, value] of edits) entries[at]![field] = value;
        return entries;
      });
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.array(entry, { maxLength: 6 }), mutated),
        fc.integer({ min: 1, max: 500 }),
        async (entries, step) => {
          try {
            const toc = await read(Buffer.from(document(entries)), step);
            let end = 0;
            for (const [at, [, size, offset, until]] of places(toc).entries()) {
              expect(size).toBeGreaterThan(0);
              expect(until).toBeLessThanOrEqual(END);
              if (toc.pieces.hasChunks(at)) continue;
              expect(offset).toBeGreaterThanOrEqual(end);
              end = until!;
            }
          } catch (error) {
            expect(error).toEqual(invalid);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
