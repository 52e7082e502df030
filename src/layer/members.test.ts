import { execFileSync } from "node:child_process";
import { lstatSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, fifo, file, hardlink, symlink, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import { encodeTarEntry, TAR_END } from "../codec/tar/header.ts";
import { withoutFfi } from "../sys/libc.ts";

const asRoot = process.getuid?.() === 0;
const text = (path: string): string => readFileSync(path, "utf8");
const modeOf = (path: string): number => lstatSync(path).mode & 0o7777;
const at = (seconds: number): { seconds: number; nanoseconds: number } => ({ seconds, nanoseconds: 5 });

describe("members", () => {
  it("that come twice: the last one counts, and other names of the first keep its content", async () => {
    await using dir = await tempDir();
    const report = await applyAll(dir.path, [
      [file("a", "1"), hardlink("h", "a"), file("a", "22"), symlink("s", "x"), symlink("s", "y")],
    ]);
    expect([text(join(dir.path, "a")), text(join(dir.path, "h")), readlinkSync(join(dir.path, "s"))]).toEqual([
      "22",
      "1",
      "y",
    ]);
    expect(report).toMatchObject({ entries: 5, files: 2, bytes: 3, links: 3, directories: 0, whiteouts: 0 });
  });

  it("with times out of range are of 1970; access is never before modification", async () => {
    await using dir = await tempDir();
    const tar = Buffer.concat([
      encodeTarEntry({ type: "file", name: "old", modifiedAt: at(-1) }),
      encodeTarEntry({ type: "file", name: "far", modifiedAt: at(9_223_372_036) }),
      encodeTarEntry({ type: "file", name: "read", modifiedAt: at(100), accessedAt: at(200) }),
      encodeTarEntry({ type: "file", name: "unread", modifiedAt: at(200), accessedAt: at(100) }),
      TAR_END,
    ]);
    await applyAll(dir.path, [tar]);
    const seen = ["old", "far", "read", "unread"].map((name) => lstatSync(join(dir.path, name), { bigint: true }));
    expect(seen.map(({ mtimeNs }) => mtimeNs)).toEqual([0n, 0n, 100_000_000_005n, 200_000_000_005n]);
    expect(seen.slice(2).map(({ atimeNs }) => atimeNs)).toEqual([200_000_000_005n, 200_000_000_005n]);
  });

  it("have their mode whatever the umask", async () => {
    await using dir = await tempDir();
    const script = `
      process.umask(0o077);
      const { applyAll } = await import(${JSON.stringify(join(import.meta.dirname, "../../test/kit/layer/apply-all.ts"))});
      await applyAll(process.argv[1], [[{ type: "file", path: "d/f", mode: 0o666 }, { type: "directory", path: "e", mode: 0o777 }, { type: "fifo", path: "p", mode: 0o622 }]]);`;
    execFileSync(process.execPath, ["--input-type=module", "-e", script, dir.path]);
    expect(["d", "d/f", "e", "p"].map((name) => modeOf(join(dir.path, name)))).toEqual([0o755, 0o666, 0o777, 0o622]);
  });

  it("of no more than the limits", async () => {
    await using dir = await tempDir();
    const three = [file("a", "1234"), file("b", "1234"), file("c", "1234")];
    const limit = (limits: object, layers: TreeNode[][]): Promise<unknown> => applyAll(dir.path, layers, { limits });
    const refused = { code: "LAYER_LIMIT" };
    await expect(limit({ entries: 2 }, [three])).rejects.toMatchObject(refused);
    await expect(limit({ bytes: 11 }, [three])).rejects.toMatchObject(refused);
    await expect(limit({ depth: 2 }, [[file("1/2/3/f")]])).rejects.toMatchObject(refused);
    await expect(
      limit({ xattrBytes: 3 }, [[file("x", "", { xattrs: { "user.a": Buffer.from("1234") } })]]),
    ).rejects.toMatchObject(refused);
    await expect(limit({ remembered: 2 }, [three, three])).rejects.toMatchObject(refused);
    await limit({ entries: 6, bytes: 24, depth: 2, remembered: 3 }, [three, three]);
  });
});

describe("without foreign calls", () => {
  it("the tree is the same but for devices, attributes and what is finer than a microsecond", async () => {
    await using dir = await tempDir();
    const layer = [
      directory("d", { mode: 0o1777 }),
      file("d/f", "x", { mode: 0o754, xattrs: { "user.a": Buffer.from("x") } }),
      symlink("l", "d"),
      hardlink("h", "d/f", { mode: 0o754 }),
      fifo("p"),
    ];
    using _off = withoutFfi();
    const report = await applyAll(dir.path, [layer]);
    expect(report.skipped).toEqual({ owners: asRoot ? 0 : 4, devices: 1, xattrs: 1 });
    const tree = await readTree(dir.path);
    const model = expectedTree([layer.filter(({ type }) => type !== "fifo")]);
    expect(diffTrees(tree, model, { root: false, ignore: asRoot ? ["xattrs"] : ["xattrs", "uid", "gid"] })).toEqual([]);
  });
});
