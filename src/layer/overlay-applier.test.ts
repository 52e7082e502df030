import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { bindLayers, readMerged } from "../../test/kit/layer/overlay-layers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, file, opaque, symlink, whiteout, type TreeNode } from "../../test/kit/trees/tree-node.ts";

const OLD = [
  directory("foo", { mode: 0o1700, mtime: 77n }),
  file("foo/old", "12"),
  directory("foo/sub", { uid: 5, mtime: 78n }),
  file("foo/sub/old", "12"),
];

async function compare(layers: readonly TreeNode[][]): Promise<{ lines: string[]; replayed: (string | undefined)[] }> {
  await using dir = await tempDir();
  const flat = join(dir.path, "flat");
  mkdirSync(flat);
  await applyAll(flat, layers);
  const bound = await bindLayers(dir.path, layers);
  return {
    lines: diffTrees(await readMerged(bound), await readTree(flat)),
    replayed: bound.map(({ replayed }) => replayed),
  };
}

describe("rows", () => {
  it.each<[string, TreeNode[]]>([
    ["a", [whiteout("foo"), file("foo", "1")]],
    ["b", [file("foo", "1"), whiteout("foo")]],
    ["c", [whiteout("foo"), directory("foo"), file("foo/new", "1")]],
    ["d", [directory("foo"), file("foo/new", "1"), whiteout("foo")]],
    ["e", [file("foo"), directory("foo"), file("foo/new", "1")]],
    ["f", [opaque("foo"), file("foo/sub/new", "1"), file("foo/new", "1")]],
    ["g", [file("foo/sub/new", "1"), opaque("foo"), file("foo/new", "1")]],
    ["h", [file("foo/sub/new", "1"), opaque("foo")]],
    ["i", [opaque(""), file("foo/sub/new", "1")]],
    ["j", [whiteout("x/y/z"), opaque("v/w")]],
    ["k", [file("foo/sub/new", "1"), symlink("q", "foo")]],
  ])("%s", async (_, layer) => {
    const { lines, replayed } = await compare([OLD, layer]);
    expect(lines).toEqual([]);
  });
});
