import { existsSync } from "node:fs";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { file, tarOf, type Member } from "../../../test/codec/tar-splits.ts";
import { piecesOf } from "../../../test/kit/layer/apply-all.ts";
import { pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { tempDir, type TempDir } from "../../../test/kit/temp-dir.ts";
import { encodeTarEntry } from "../../codec/tar/header.ts";
import { ffiAvailable } from "../../sys/libc.ts";
import { digestOf } from "../../oci/digest.ts";
import { unpackOverlay } from "../unpack-overlay.ts";
import { readSplit } from "./kept-split.ts";
import { splitPath } from "./split-path.ts";
import { openTreeTar } from "./tree-tar.ts";

/** Unpacks it, and says whether a tar-split was kept. */
async function unpacked({ path }: TempDir, tar: Buffer): Promise<boolean> {
  const directory = join(path, "fs");
  await mkdir(directory);
  const split = splitPath(path);
  const { diffId } = await unpackOverlay(piecesOf(tar), { form: "overlay", directory, userXattr: false, split });
  expect(diffId).toBe(digestOf(tar));
  return existsSync(split);
}

async function refused(...members: Member[]): Promise<void> {
  await using dir = await tempDir();
  expect(await unpacked(dir, tarOf(...members))).toBe(false);
}

describe.skipIf(!ffiAvailable())("a tar-split that is kept beside a tree", () => {
  const directory: Member = { type: "directory", name: "./usr/", mode: 0o755 };

  it("gives the tar again, whatever its members are", async () => {
    await using dir = await tempDir();
    const tar = tarOf(
      directory,
      ...[0, 1, 511, 512, 513, 70_000].map((size) => file(`./usr/size-${size}`, Buffer.alloc(size, "x"))),
      file("implied/parents/f", "f"),
      { type: "link", name: "hard", linkName: "usr/size-513" },
      { type: "symlink", name: "soft", linkName: "usr" },
      file("etc/.wh.passwd"),
      file("opaque/.wh..wh..opq"),
      file("opaque/new", "new"),
      file("größe", "utf8"),
      { ...file("gnu", "base-256"), format: "gnu", uid: 0 },
    );
    const whole = Buffer.concat([tar, Buffer.from("junk behind it")]);
    expect(await unpacked(dir, whole)).toBe(true);
    await using again = await openTreeTar({ root: join(dir.path, "fs"), split: readSplit(splitPath(dir.path)) });
    expect((await pieceOf(again, 0, again.size)).equals(whole)).toBe(true);
  });

  it("is some hundredths of the headers", async () => {
    await using dir = await tempDir();
    const tar = tarOf(...Array.from({ length: 2000 }, (_, at) => file(`usr/share/doc/package-${at}/copyright`, "c")));
    expect(await unpacked(dir, tar)).toBe(true);
    expect((await readFile(splitPath(dir.path))).length).toBeLessThan(tar.length / 40);
  });

  it("is not kept of a layer that its tree cannot give back", async () => {
    await refused(file("a", "1"), file("a", "2"));
    await refused(file("a", "1"), file("./b/../a", "2"));
    // Of another size under another name, by way of a link.
    await refused(directory, { type: "symlink", name: "lib", linkName: "usr" }, file("lib/f", "1"));
    await refused(file("a", "1"), { type: "symlink", name: "./a", linkName: "b" });
    const sparse = encodeTarEntry({ type: "file", name: "disk", size: 9000, storedSize: 0, sparse: [] });
    await using dir = await tempDir();
    expect(await unpacked(dir, Buffer.concat([sparse, Buffer.alloc(1024)]))).toBe(false);
    expect(existsSync(splitPath(dir.path))).toBe(false);
  });

  it("is no reason to fail when it cannot be written", async () => {
    await using dir = await tempDir();
    await mkdir(splitPath(dir.path));
    const tar = Buffer.concat([tarOf(file("a", "content")), Buffer.alloc(3 << 20)]);
    expect(await unpacked(dir, tar)).toBe(true);
    expect(await readFile(join(dir.path, "fs/a"), "utf8")).toBe("content");
  });

  it("is noticed to be damaged", async () => {
    await using dir = await tempDir();
    expect(await unpacked(dir, tarOf(file("a", "content")))).toBe(true);
    const split = await readFile(splitPath(dir.path));
    const open = async (bytes: Uint8Array): Promise<void> => {
      await writeFile(splitPath(dir.path), bytes);
      await openTreeTar({ root: join(dir.path, "fs"), split: readSplit(splitPath(dir.path)) });
    };
    await expect(open(split.subarray(0, -5))).rejects.toMatchObject({ code: "COMPRESSION_INVALID" });
    await expect(open(Buffer.from("no zstd"))).rejects.toMatchObject({ code: "COMPRESSION_INVALID" });
    await rm(splitPath(dir.path));
    await expect(
      openTreeTar({ root: join(dir.path, "fs"), split: readSplit(splitPath(dir.path)) }),
    ).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });
});
