import { execFileSync } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { zstdDecompressSync } from "node:zlib";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { archivesOf, makeTree } from "../../../test/codec/archives.ts";
import { mutate, randomFrom } from "../../../test/codec/mutate.ts";
import { cat, header, octal, padded, withPax } from "../../../test/codec/tar-blocks.ts";
import { checkChunked, chunked, type Written } from "../../../test/codec/zstd-chunked.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { encodePax } from "../tar/encode-pax.ts";
import { encodeTarEntry, TAR_END, type TarEntryInit } from "../tar/header.ts";

const file = (name: string, content: Uint8Array, fields: Partial<TarEntryInit> = {}): Buffer =>
  cat(encodeTarEntry({ type: "file", name, size: content.length, ...fields }), padded(content));
const zeros = (length: number): Buffer => Buffer.alloc(length);

function noise(length: number, seed = 1): Buffer {
  const random = randomFrom(seed);
  return Buffer.from(Uint8Array.from({ length }, () => random(256)));
}

const tars: Readonly<Record<string, Buffer>> = {
  "an empty archive": zeros(1024),
  "nothing at all": zeros(0),
  "no end blocks": file("a", Buffer.from("hello")),
  "one end block": cat(file("a", Buffer.from("hello")), zeros(512)),
  "a file without padding": cat(encodeTarEntry({ type: "file", name: "a", size: 5 }), Buffer.from("hello")),
  "empty files": cat(
    file("a", zeros(0)),
    file("b", zeros(0)),
    file("c", Buffer.from("c")),
    file("d", zeros(0)),
    TAR_END,
  ),
  "a megabyte of zeros behind the end": cat(file("a", Buffer.from("x")), TAR_END, zeros(1 << 20)),
  "junk behind the end": cat(file("a", Buffer.from("x")), TAR_END, noise(3000)),
  "files around the length of a run": cat(
    ...[1, 1023, 1024, 1025].map((length) => file(`zeros-${length}`, zeros(length))),
    file("begins", cat(zeros(5000), noise(100))),
    file("ends", cat(noise(100), zeros(5000))),
    file("both", cat(zeros(1024), noise(100), zeros(1024))),
    file("between", cat(noise(10), zeros(1023), noise(10), zeros(1024), noise(10))),
    TAR_END,
  ),
  "zeros up to the end of two files": cat(file("a", cat(noise(600), zeros(1000))), file("b", zeros(2000)), TAR_END),
  "a file of many chunks": cat(file("big", noise(900_000)), file("small", noise(10)), TAR_END),
  "a file that is nowhere cut": cat(file("same", Buffer.alloc(2_500_000, 7)), TAR_END),
  "all kinds of members": cat(
    encodeTarEntry({
      type: "directory",
      name: "d/",
      mode: 0o1777,
      modifiedAt: { seconds: 1_700_000_000, nanoseconds: 120_000_000 },
    }),
    file("d/<f>&\u2028", Buffer.from("f"), {
      uid: 3_000_000,
      xattrs: new Map([
        ["user.b", Uint8Array.of(255)],
        ["user.a", Uint8Array.of()],
      ]),
      accessedAt: { seconds: 5, nanoseconds: 0 },
    }),
    encodeTarEntry({ type: "link", name: "l", linkName: "d/f" }),
    encodeTarEntry({ type: "symlink", name: "s", linkName: "../größe" }),
    encodeTarEntry({ type: "char", name: "c", deviceMajor: 1, deviceMinor: 3 }),
    encodeTarEntry({ type: "block", name: "b", deviceMajor: 8 }),
    encodeTarEntry({ type: "fifo", name: "p" }),
    encodeTarEntry({ type: "file", name: "d/.wh.gone" }),
    withPax([["ctime", "7.5"]], header("old", { 100: "0100644\0" })),
    TAR_END,
  ),
};

/** Tars that a table of contents cannot tell of, and why. */
const refused: Readonly<Record<string, readonly [reason: string, name: string, tar: Buffer]>> = {
  "more headers of a member than readers take": [
    "size",
    "before",
    cat(
      file("before", Buffer.from("x")),
      ...[1, 2, 3].map((number) => withPax([["comment", `${number}`.repeat(900_000)]], Buffer.alloc(0))),
      file("f", Buffer.from("x")),
      TAR_END,
    ),
  ],
  "two members of one name": [
    "duplicate",
    "./a",
    cat(file("a", noise(2000)), file("b", noise(9)), file("./a", noise(99)), TAR_END),
  ],
  "a sparse file": [
    "sparse",
    "s",
    cat(
      file("a", noise(70_000)),
      encodeTarEntry({ type: "file", name: "s", size: 5000, storedSize: 512, sparse: [{ offset: 0, length: 512 }] }),
      noise(512),
      TAR_END,
    ),
  ],
  "a name that is not UTF-8": ["member", "\udcff", cat(header("\udcff"), TAR_END)],
  "a contiguous file": [
    "member",
    "a",
    cat(header("a", { 156: "7", 124: octal(3) }), padded(Buffer.from("abc")), TAR_END),
  ],
  "a time after the year 9999": ["member", "a", cat(withPax([["mtime", "400000000000"]], header("a")), TAR_END)],
  "a global header": ["member", "g", cat(globalHeader(), file("a", noise(3000)), TAR_END)],
};

function globalHeader(): Buffer {
  const block = Buffer.from(encodePax("g", [["comment", "x"]]));
  return cat(header("g", { 156: "g", 124: octal(13) }), block.subarray(512));
}

describe("a layer in zstd:chunked", () => {
  it.each(Object.keys(tars))("gives back %s, whole and in parts", async (name) => {
    const tar = tars[name]!;
    const written = await chunked(tar);
    expect(written.layer.refused).toBeUndefined();
    checkChunked(tar, written);
    for (const step of [1, 511, 513].filter((step) => tar.length / step < 20_000)) {
      expect((await chunked(tar, { step })).blob.equals(written.blob)).toBe(true);
    }
  });

  it.each(Object.keys(refused))("is ordinary zstd for %s", async (name) => {
    const [reason, member, tar] = refused[name]!;
    for (const step of [1 << 20, 700]) {
      const { blob, layer } = await chunked(tar, { step });
      expect(layer).toMatchObject({ annotations: undefined, refused: { reason, name: member } });
      expect(zstdDecompressSync(blob).equals(tar)).toBe(true);
    }
  });

  it("has one entry for each member, spelled as podman spells it", async () => {
    const { toc } = checkChunked(tars["all kinds of members"]!, await chunked(tars["all kinds of members"]!));
    const lines = toc
      .replace(/,"tarSplitDigest".*/, "")
      .replace(/"(offset|endOffset)":\d+/g, '"$1":0')
      .split(/(?<=\}),(?=\{"type)/);
    expect(lines).toMatchInlineSnapshot(`
      [
        "{"version":1,"entries":[{"type":"dir","name":"d/","mode":1023,"modtime":"2023-11-14T22:13:20.12Z"}",
        "{"type":"reg","name":"d/\\u003cf\\u003e\\u0026\\u2028","mode":420,"size":1,"uid":3000000,"modtime":"1970-01-01T00:00:00Z","accesstime":"1970-01-01T00:00:05Z","xattrs":{"user.a":"","user.b":"/w=="},"digest":"sha256:252f10c83610ebca1a059c0bae8255eba2f95be4d1d7bcfa89d7248a82d9f111","offset":0,"endOffset":0}",
        "{"type":"hardlink","name":"l","linkName":"d/f","mode":420,"modtime":"1970-01-01T00:00:00Z"}",
        "{"type":"symlink","name":"s","linkName":"../größe","mode":511,"modtime":"1970-01-01T00:00:00Z"}",
        "{"type":"char","name":"c","mode":384,"modtime":"1970-01-01T00:00:00Z","devMajor":1,"devMinor":3}",
        "{"type":"block","name":"b","mode":384,"modtime":"1970-01-01T00:00:00Z","devMajor":8}",
        "{"type":"fifo","name":"p","mode":420,"modtime":"1970-01-01T00:00:00Z"}",
        "{"type":"reg","name":"d/.wh.gone","mode":420,"modtime":"1970-01-01T00:00:00Z"}",
        "{"type":"reg","name":"old","mode":33188,"modtime":"1970-01-01T00:00:00Z","changetime":"1970-01-01T00:00:07.5Z"}]",
      ]
    `);
  });

  it("tells of chunks where a file has more than one", async () => {
    const tar = cat(file("f", cat(noise(10), zeros(1024), noise(5))), file("g", zeros(4000)), TAR_END);
    const { entries } = checkChunked(tar, await chunked(tar));
    expect(
      entries.map(({ type, chunkSize, chunkOffset, chunkType }) => [type, chunkSize, chunkOffset, chunkType]),
    ).toEqual([
      ["reg", 10, undefined, undefined],
      ["chunk", 1024, 10, "zeros"],
      ["chunk", 5, 1034, undefined],
      ["reg", undefined, undefined, undefined],
    ]);
  });

  it("has the same content at every level, and the same bytes every time", async () => {
    const tar = tars["a file of many chunks"]!;
    const [one, again, other] = [
      await chunked(tar, { level: 3 }),
      await chunked(tar, { level: 3 }),
      await chunked(tar, { level: 9 }),
    ];
    expect(one.blob.equals(again.blob)).toBe(true);
    expect(one.blob.equals(other.blob)).toBe(false);
    const chunks = ({ entries }: ReturnType<typeof checkChunked>): unknown =>
      entries.map(({ chunkDigest }) => chunkDigest);
    expect(chunks(checkChunked(tar, other))).toEqual(chunks(checkChunked(tar, one)));
  });

  it("is written of any tar, or refused with a code, never wrong", async () => {
    const seeds = Object.values(tars).filter(({ length }) => length < 100_000);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(seeds.length - 1),
        fc.nat(),
        fc.integer({ min: 1, max: 5000 }),
        async (which, seed, step) => {
          const mutant = mutate(seeds[which]!, randomFrom(seed));
          let written: Written;
          try {
            written = await chunked(mutant, { step });
          } catch (error) {
            expect(isVarveError(error) && error.code).toMatch(/^LAYER_(INVALID|LIMIT)$/);
            return;
          }
          if (written.layer.annotations === undefined)
            expect(zstdDecompressSync(written.blob).equals(mutant)).toBe(true);
          else checkChunked(mutant, written);
        },
      ),
      { numRuns: 200 },
    );
  });

  it("gives up a file of which every few bytes would be a chunk, and loses nothing", async () => {
    // Zeros of the length of a run between single bytes: two chunks for each 1025 bytes.
    const unit = cat(Buffer.of(1), zeros(1024));
    const content = Buffer.alloc(unit.length * 600);
    for (let at = 0; at < content.length; at += unit.length) content[at] = 1;
    const tar = cat(file("f", content), file("g", noise(10)), TAR_END);
    const { blob, layer } = await chunked(tar, { mostChunks: 1000 });
    expect(layer).toMatchObject({ annotations: undefined, refused: { reason: "size", name: "f" } });
    expect(zstdDecompressSync(blob).equals(tar)).toBe(true);
  });
});

describe.skipIf(findPeer("zstd") === undefined)("zstd(1)", () => {
  it("decompresses it to the tar", async () => {
    for (const tar of Object.values(tars)) {
      const { blob } = await chunked(tar);
      if (tar.length === 0) continue;
      expect(execFileSync("zstd", ["-d", "-c", "-q"], { input: blob, maxBuffer: 1 << 28 }).equals(tar)).toBe(true);
    }
  });

  it("decompresses what other people's tars have packed", async () => {
    await using dir = await tempDir();
    await mkdir(join(dir.path, "tree"));
    await makeTree(join(dir.path, "tree"));
    for (const { bytes, sparse } of archivesOf(join(dir.path, "tree"))) {
      const { blob, layer } = await chunked(bytes);
      expect(execFileSync("zstd", ["-d", "-c", "-q"], { input: blob, maxBuffer: 1 << 28 }).equals(bytes)).toBe(true);
      if (sparse) expect(layer.refused?.reason).toMatch(/^(sparse|member)$/);
      // Most have a name that is not UTF-8.
      else if (layer.refused !== undefined) expect(layer.refused.reason).toBe("member");
      else checkChunked(bytes, { blob, layer });
    }
  });
});
