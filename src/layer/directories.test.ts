import { chmodSync, lstatSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, file, whiteout } from "../../test/kit/trees/tree-node.ts";
import { encodeTarEntry, TAR_END } from "../codec/tar/header.ts";
import { LayerApplier } from "./apply.ts";

const text = (path: string): string => readFileSync(path, "utf8");
const modeOf = (path: string): number => lstatSync(path).mode & 0o7777;
const mtimeOf = (path: string): bigint => lstatSync(path, { bigint: true }).mtimeNs;
const named = (name: string): Uint8Array => encodeTarEntry({ type: "directory", name, mode: 0o711 });

describe("directories", () => {
  it("that no layer describes are 0755 and the same in every run; those that are there keep what they have", async () => {
    await using dir = await tempDir();
    const tmp = directory("tmp", { mode: 0o1777, mtime: 77n });
    await applyAll(dir.path, [[tmp], [file("tmp/x/y/z", "z")]]);
    expect([modeOf(join(dir.path, "tmp")), mtimeOf(join(dir.path, "tmp"))]).toEqual([0o1777, 77n]);
    expect([modeOf(join(dir.path, "tmp/x/y")), mtimeOf(join(dir.path, "tmp/x/y"))]).toEqual([0o755, 0n]);
  });

  it("come with and without a trailing slash, a dot or a parent before them", async () => {
    await using dir = await tempDir();
    const tar = Buffer.concat([...["a/", "b", "./c/", "x/y/z", "/d//e/", "f/."].map(named), TAR_END]);
    await applyAll(dir.path, [tar]);
    for (const name of ["a", "b", "c", "x/y/z", "d/e", "f"]) expect(modeOf(join(dir.path, name))).toBe(0o711);
  });

  it("have the times of their entry, whatever is put into or taken from them before or after", async () => {
    await using dir = await tempDir();
    const d = directory("d", { mtime: 1_000_000_007n });
    await applyAll(dir.path, [
      [file("d/early"), d, file("d/f"), directory("d/e", { mtime: 3n }), file("d/e/g")],
      [whiteout("d/f"), file("d/new")],
    ]);
    expect([mtimeOf(join(dir.path, "d")), mtimeOf(join(dir.path, "d/e"))]).toEqual([1_000_000_007n, 3n]);
  });

  it("that keep their owner out are filled all the same", async () => {
    await using dir = await tempDir();
    await applyAll(dir.path, [[directory("d", { mode: 0 }), file("d/f", "x")], [file("d/g", "y")]]);
    expect(modeOf(join(dir.path, "d"))).toBe(0);
    chmodSync(join(dir.path, "d"), 0o700);
    expect(text(join(dir.path, "d/g"))).toBe("y");
  });
});

describe("the root", () => {
  it("takes owner, mode and times from its entry, as umoci's does", async () => {
    await using dir = await tempDir();
    await applyAll(dir.path, [
      [directory("", { mode: 0o711, mtime: 12_345_000_000_000n }), file("a", "1")],
      [file("b", "1")],
    ]);
    expect([modeOf(dir.path), mtimeOf(dir.path)]).toEqual([0o711, 12_345_000_000_000n]);
  });

  it("is 0755 of 1970 when it was empty and no entry describes it", async () => {
    await using dir = await tempDir();
    await applyAll(dir.path, [[file("a", "1")]]);
    expect([modeOf(dir.path), mtimeOf(dir.path)]).toEqual([0o755, 0n]);
  });

  it("keeps what it has when it was not empty; its content counts as a lower layer's", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "old"), "1");
    mkdirSync(join(dir.path, "d"));
    chmodSync(dir.path, 0o750);
    utimesSync(dir.path, 5, 5);
    await applyAll(dir.path, [[file("a", "1"), whiteout("old"), file("d", "now a file")]]);
    expect([modeOf(dir.path), mtimeOf(dir.path)]).toEqual([0o750, 5_000_000_000n]);
    expect((await readTree(dir.path)).map(({ path }) => path)).toEqual(["", "a", "d"]);
  });

  it("that is missing or a file is an error", async () => {
    await using dir = await tempDir();
    writeFileSync(join(dir.path, "f"), "");
    expect(() => new LayerApplier(join(dir.path, "none"))).toThrow(expect.objectContaining({ code: "FILE_NOT_FOUND" }));
    expect(() => new LayerApplier(join(dir.path, "f"))).toThrow(expect.objectContaining({ code: "PATH_INVALID" }));
  });
});
