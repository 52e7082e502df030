/** tar-split with the archives of other tars, and against the Go library where Debian's package of it is installed. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { systemName } from "../../src/sys/path-bytes.ts";
import { findPeer } from "../kit/peers.ts";
import { tempDir, type TempDir } from "../kit/temp-dir.ts";
import { archivesOf, makeTree, type PeerArchive } from "./archives.ts";
import { buildGo, hasGoTarSplit, run } from "./oracles.ts";
import { assemble, record } from "./tar-splits.ts";

let work: TempDir;
let archives: PeerArchive[] = [];

beforeAll(async () => {
  work = await tempDir();
  await mkdir(join(work.path, "tree"));
  await makeTree(join(work.path, "tree"));
  archives = archivesOf(join(work.path, "tree"));
  const plain = archives.filter(({ sparse }) => !sparse);
  const junk = Buffer.from("junk that follows the end ".repeat(70_000));
  for (const { maker, bytes } of plain.slice(0, 3)) {
    archives.push({ maker: `${maker}, with junk`, bytes: Buffer.concat([bytes, junk]), sparse: false });
  }
  if (findPeer("go") === undefined) return;
  const goTar = buildGo("tar", work.path);
  for (const format of ["ustar", "pax", "gnu"]) {
    archives.push({ maker: `go ${format}`, bytes: run(goTar, ["write", format]), sparse: false });
  }
});
afterAll(() => work[Symbol.asyncDispose]());

describe("tar-split of other tars' archives", () => {
  it("gives back every archive without sparse files, and refuses the others", async () => {
    expect(archives.length).toBeGreaterThan(0);
    for (const { maker, bytes, sparse } of archives) {
      const { split, files, refused } = record(bytes, 5000);
      expect({ maker, refused: refused?.reason }).toEqual({ maker, refused: sparse ? "sparse" : undefined });
      if (sparse) continue;
      expect({ maker, same: (await assemble(split, files)).equals(bytes) }).toEqual({ maker, same: true });
    }
  });
});

describe.skipIf(!hasGoTarSplit)("the Go tar-split library", () => {
  let program = "";
  beforeAll(() => {
    program = buildGo("tar-split", work.path);
  });

  it("writes the same lines, byte for byte", async () => {
    const path = join(work.path, "archive.tar");
    for (const { maker, bytes, sparse } of archives) {
      if (sparse) continue;
      await writeFile(path, bytes);
      const wanted = run(program, ["disassemble", path]).toString();
      const { split, files } = record(bytes);
      expect({ maker, split }).toEqual({ maker, split: wanted });
      const assembled = await assemble(wanted, files);
      expect({ maker, same: assembled.equals(bytes) }).toEqual({ maker, same: true });
    }
  });

  it("assembles the same archives from ours", async () => {
    for (const [i, { maker, bytes, sparse }] of archives.entries()) {
      if (sparse) continue;
      const { split, files } = record(bytes);
      const root = join(work.path, `files-${i}`);
      await mkdir(root);
      for (const [name, content] of files) {
        const path = join(root, name);
        await mkdir(dirname(path), { recursive: true });
        await writeFile(systemName(path), content);
      }
      await writeFile(join(work.path, "split.json"), split);
      const assembled = run(program, ["assemble", join(work.path, "split.json"), root]);
      expect({ maker, same: assembled.equals(bytes) }).toEqual({ maker, same: true });
    }
  });
});
