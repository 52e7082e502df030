import { createHash } from "node:crypto";
import { readdirSync } from "node:fs";
import { mkdir, rename, rm, symlink, truncate, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { file, inChunks, member, record, tarOf, type Member } from "../../../test/codec/tar-splits.ts";
import { joined, pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { tempDir, type TempDir } from "../../../test/kit/temp-dir.ts";
import { crc64 } from "../../codec/tar-split/crc64.ts";
import { encodeTarEntry, TAR_END } from "../../codec/tar/header.ts";
import { withoutFfi } from "../../sys/libc.ts";
import { decodeName, systemName } from "../../sys/path-bytes.ts";
import { cleanName } from "../names.ts";
import type { SeekableTar } from "./seekable-tar.ts";
import { openTreeTar } from "./tree-tar.ts";

/** The tar, from a tree below `root` and the tar-split that was taken of it. */
async function heldAsTree(root: string, tar: Uint8Array): Promise<SeekableTar> {
  const { split, files, refused } = record(tar);
  expect(refused).toBeUndefined();
  for (const [name, content] of files) {
    const path = join(root, ...cleanName(name));
    await mkdir(dirname(path), { recursive: true });
    await writeFile(systemName(path), content);
  }
  return openTreeTar({ root, split: inChunks(split, 3000) });
}

async function expectBytes(tar: SeekableTar, start: number, expected: Uint8Array): Promise<void> {
  expect((await pieceOf(tar, start, expected.length)).equals(expected)).toBe(true);
}

/** Every place where something begins or ends: blocks are all a tar consists of, but contents end within them. */
function placesOf(tar: Uint8Array, sizes: readonly number[]): number[] {
  const places = new Set<number>();
  for (let block = 0; block <= tar.length; block += 512) {
    for (const size of [0, ...sizes.map((each) => each % 512)]) {
      for (const near of [-1, 0, 1]) places.add(Math.min(tar.length, Math.max(0, block + size + near)));
    }
  }
  return [...places].toSorted((a, b) => a - b);
}

describe("a tar of a tree", () => {
  it("is the tar at every boundary, before it and behind it, for reads of any length", async () => {
    await using dir = await tempDir();
    const sizes = [0, 1, 511, 512, 513, 1500];
    const bytes = tarOf(
      ...sizes.map((size) => file(`size-${size}`, Buffer.alloc(size, `content of ${size} `))),
      { type: "directory", name: "./d/" },
      { type: "link", name: "hard", linkName: "size-513" },
      file("d/.wh.gone"),
      file(`${"deep/".repeat(60)}long`, "PAX"),
      { ...file(`gnu/${"n".repeat(200)}`, "GNU"), format: "gnu" },
      file("last", "x"),
    );
    await using tar = await heldAsTree(dir.path, bytes);
    expect(tar.size).toBe(bytes.length);
    const places = placesOf(bytes, sizes);
    for (const start of places) {
      for (const length of [1, 2, 513, 3000]) {
        await expectBytes(tar, start, bytes.subarray(start, start + length));
        const there = Math.min(length, bytes.length - start);
        expect(joined(tar.parts(start, there)).equals(bytes.subarray(start, start + there))).toBe(true);
      }
      await expectBytes(tar, start, bytes.subarray(start));
    }
    await expect(tar.read(new Uint8Array(2), bytes.length - 1)).rejects.toThrow("were asked for");
    await expect(tar.read(new Uint8Array(2), -1)).rejects.toThrow("were asked for");
  });

  it("is any tar, read anywhere, by many at once", async () => {
    await using dir = await tempDir();
    let trees = 0;
    const anyMember = fc.record({
      type: fc.constantFrom("file" as const, "file" as const, "directory" as const),
      content: fc.uint8Array({ maxLength: 1200 }),
      raw: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyMember, { maxLength: 7 }),
        fc.uint8Array({ maxLength: 700 }),
        fc.array(fc.tuple(fc.nat(), fc.nat()), { minLength: 4, maxLength: 12 }),
        async (members, tail, reads) => {
          const described = members.map(({ type, content, raw }, at): Member => {
            const name = raw ? decodeName(Buffer.from(`${at}-\xff`, "latin1")) : `${at % 3}/${at}`;
            return { type, name, content: Buffer.from(type === "file" ? content : []) };
          });
          const bytes = Buffer.concat([tarOf(...described), tail]);
          const root = join(dir.path, String(trees++));
          await mkdir(root);
          await using tar = await heldAsTree(root, bytes);
          await Promise.all(
            reads.map(async ([from, count]) => {
              const start = from % (bytes.length + 1);
              const length = count % (bytes.length - start + 1);
              await expectBytes(tar, start, bytes.subarray(start, start + length));
              expect(joined(tar.parts(start, length)).equals(bytes.subarray(start, start + length))).toBe(true);
            }),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it("ends as the tar does: with nothing, one block, megabytes of zeros or anything else", async () => {
    const body = member(file("a", "some content"));
    const ends = [[], [TAR_END.subarray(0, 512)], [TAR_END, Buffer.alloc(3_000_000)], [TAR_END, Buffer.from("junk")]];
    for (const bytes of [Buffer.from(TAR_END), Buffer.alloc(0), ...ends.map((end) => Buffer.concat([body, ...end]))]) {
      await using dir = await tempDir();
      await using tar = await heldAsTree(dir.path, bytes);
      expect(tar.size).toBe(bytes.length);
      await expectBytes(tar, 0, bytes);
      await expectBytes(tar, Math.max(0, bytes.length - 9), bytes.subarray(Math.max(0, bytes.length - 9)));
    }
  });

  it("keeps few of its files open, however many read at once, and none at the end", async () => {
    await using dir = await tempDir();
    const bytes = tarOf(...Array.from({ length: 150 }, (_, at) => file(`d${at % 7}/f${at}`, `content ${at}`)));
    const openBelow = (): number => readdirSync("/proc/self/fd").length;
    const before = openBelow();
    const tar = await heldAsTree(dir.path, bytes);
    for (let turn = 0; turn < 3; turn++) {
      await Promise.all(
        Array.from({ length: 40 }, (_, at) =>
          expectBytes(tar, at * 1024 + 1, bytes.subarray(at * 1024 + 1, at * 3000)),
        ),
      );
      expect(openBelow() - before).toBeLessThan(40);
    }
    await tar[Symbol.asyncDispose]();
    expect(openBelow()).toBe(before);
    await expect(tar.read(new Uint8Array(2), 512)).rejects.toMatchObject({ code: "INTERNAL" });
  });

  it("is read without foreign calls too", async () => {
    await using dir = await tempDir();
    const bytes = tarOf(file("d/e/a", "first"), file("d/e/b", "second"), file("c", "third"));
    using _none = withoutFfi();
    await using tar = await heldAsTree(dir.path, bytes);
    await expectBytes(tar, 0, bytes);
    await rename(join(dir.path, "d/e"), join(dir.path, "elsewhere"));
    await symlink("../elsewhere", join(dir.path, "d/e"));
    await using again = await openTreeTar({ root: dir.path, split: inChunks(record(bytes).split) });
    await expect(pieceOf(again, 0, 600)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
  });

  it("is counted beyond 4 GiB", async () => {
    await using dir = await tempDir();
    const GIB = 2 ** 30;
    const sizes = [5 * GIB, 3, 2 ** 45];
    const headers = sizes.map((_, at) => Buffer.from(encodeTarEntry({ type: "file", name: `f${at}`, size: 0 })));
    const payload = crc64(Buffer.from("abc")).toString("base64");
    const lines = sizes.flatMap((size, at) => [
      { type: 2, payload: headers[at]!.toString("base64"), position: 2 * at },
      { type: 1, name: `f${at}`, size, payload, position: 2 * at + 1 },
    ]);
    for (const [at, size] of sizes.entries()) {
      await writeFile(join(dir.path, `f${at}`), at === 1 ? "abc" : "");
      // As sparse as they come; where no file can be so large it is not there.
      await truncate(join(dir.path, `f${at}`), size).catch(() => rm(join(dir.path, `f${at}`)));
    }
    const split = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
    await using tar = await openTreeTar({ root: dir.path, split: inChunks(split) });
    expect(tar.size).toBe(5 * GIB + 3 + 2 ** 45 + 3 * 512);
    const second = 512 + 5 * GIB;
    await expectBytes(tar, second - 2, Buffer.concat([Buffer.alloc(2), headers[1]!.subarray(0, 3)]));
    await expectBytes(tar, second + 510, Buffer.concat([headers[1]!.subarray(510), Buffer.from("a")]));
    const tail = Buffer.concat([Buffer.from("bc"), headers[2]!]);
    await expectBytes(tar, second + 513, tail);
    await expect(tar.read(new Uint8Array(1), tar.size)).rejects.toThrow("were asked for");
  });
});

describe("a tree that is not what its tar-split was taken of", () => {
  const bytes = tarOf(file("d/a", "first content"), file("d/b", Buffer.alloc(5000, "b")), file("e/c", "third"));
  const sha = (content: Uint8Array): string => createHash("sha256").update(content).digest("hex");

  async function failing(change: (dir: TempDir) => Promise<void>): Promise<void> {
    await using dir = await tempDir();
    await using tar = await heldAsTree(dir.path, bytes);
    await change(dir);
    await expect(pieceOf(tar, 0, bytes.length)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    // The rest can be read as before.
    await expectBytes(tar, 0, bytes.subarray(0, 512));
  }

  it("is noticed by a file that is gone, longer, shorter, a link, a directory, or has another content", async () => {
    await failing(({ path }) => rm(join(path, "d/a")));
    await failing(({ path }) => writeFile(join(path, "d/a"), "first content and more"));
    await failing(({ path }) => writeFile(join(path, "d/a"), "first"));
    await failing(({ path }) => writeFile(join(path, "d/a"), "other content"));
    await failing(async ({ path }) => {
      await rename(join(path, "d/a"), join(path, "elsewhere"));
      await symlink("../elsewhere", join(path, "d/a"));
    });
    await failing(async ({ path }) => {
      await rename(join(path, "d"), join(path, "real"));
      await symlink("real", join(path, "d"));
    });
    await failing(async ({ path }) => {
      await rm(join(path, "e/c"));
      await mkdir(join(path, "e/c"));
    });
  });

  it("is noticed where parts are told, before anybody copies from them", async () => {
    await using dir = await tempDir();
    await using tar = await heldAsTree(dir.path, bytes);
    await rm(join(dir.path, "d/b"));
    await symlink("/etc/passwd", join(dir.path, "d/b"));
    expect(() => [...tar.parts(0, bytes.length)]).toThrow("is not there");
  });

  it("is noticed by its content when it was read to its end in pieces, once", async () => {
    await using dir = await tempDir();
    await using tar = await heldAsTree(dir.path, bytes);
    const path = join(dir.path, "d/b");
    await writeFile(path, Buffer.alloc(5000, "c"));
    await utimes(path, 0, 0);
    const read = async (): Promise<void> => {
      for (let at = 0; at < bytes.length; at += 700) await pieceOf(tar, at, Math.min(700, bytes.length - at));
    };
    await expect(read()).rejects.toMatchObject({ code: "SOURCE_CHANGED", message: /another content/ });
    // In part it is left to the digest of what is made of it.
    expect(sha(await pieceOf(tar, 2048, 100))).not.toBe(sha(bytes.subarray(2048, 2148)));
    await writeFile(path, Buffer.alloc(5000, "b"));
    await read();
    await expectBytes(tar, 0, bytes);
  });

  it("cannot be what it says when the tar-split is damaged", async () => {
    await using dir = await tempDir();
    const open = (split: string): Promise<SeekableTar> => openTreeTar({ root: dir.path, split: inChunks(split) });
    await expect(open("no JSON\n")).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
    const huge = (at: number): string =>
      `{"type":1,"name":"f${at}","size":${Number.MAX_SAFE_INTEGER},"payload":"AAAAAAAAAAA=","position":${at}}\n`;
    await expect(open(huge(0) + huge(1))).rejects.toMatchObject({ code: "TAR_SPLIT_INVALID" });
    await expect(openTreeTar({ root: join(dir.path, "none"), split: inChunks("") })).rejects.toMatchObject({
      code: "FILE_NOT_FOUND",
    });
  });
});
