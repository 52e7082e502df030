import { mkdirSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { readTree, type TreeEntry } from "../../test/kit/trees/read-tree.ts";
import { directory, file, opaque, symlink, whiteout, type TreeNode } from "../../test/kit/trees/tree-node.ts";

/** Paths with the content of files, as the table's rows speak of them. */
function outline(tree: readonly TreeEntry[]): string[] {
  return tree
    .filter(({ path }) => path !== "")
    .map(({ path, type, size }) => (type === "file" ? `${path}:${size}` : path));
}

async function outlineOf(...layers: TreeNode[][]): Promise<string[]> {
  await using dir = await tempDir();
  await applyAll(dir.path, layers);
  return outline(await readTree(dir.path));
}

/** What the layers say; the times of the root and of owners we leave to other tests. */
function described(entries: readonly TreeEntry[]): unknown[] {
  return entries.map(({ path, type, mode, sha256, target, mtime }) => ({ path, type, mode, sha256, target, mtime }));
}

function parentsOf(at: string): string[] {
  const parts = at.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}

function addContent(content: Map<string, TreeNode>, kind: string, at: string, index: number): void {
  const parents = parentsOf(at);
  if (content.has(at) || parents.some((parent) => (content.get(parent)?.type ?? "directory") !== "directory")) return;
  for (const parent of parents)
    if (!content.has(parent)) content.set(parent, directory(parent, { mode: 0o700 + index }));
  if (kind === "file") content.set(at, file(at, String(index)));
  else if (kind === "directory") content.set(at, directory(at, { mode: 0o700 + index }));
  else content.set(at, symlink(at, `to-${index}`));
}

/** A layer in which every name has one meaning and every parent is a directory entry before it. */
function layerOf(steps: readonly { kind: string; path: string }[], order: readonly number[]): TreeNode[] {
  const content = new Map<string, TreeNode>();
  const marks = new Map<string, TreeNode>();
  for (const [index, { kind, path: at }] of steps.entries()) {
    if (kind === "whiteout") marks.set(`w${at}`, whiteout(at));
    else if (kind === "opaque") marks.set(`o${at}`, opaque(at));
    else addContent(content, kind, at, index);
  }
  const nodes = [...content.values()];
  for (const [index, mark] of [...marks.values()].entries()) {
    nodes.splice((order[index % order.length] ?? 0) % (nodes.length + 1), 0, mark);
  }
  // A mark below a name that this layer makes a file would ask for a directory there, in our model only.
  const solid = new Set([...content.values()].filter(({ type }) => type !== "directory").map((node) => node.path));
  return nodes.filter((node) => !parentsOf(node.path).some((parent) => solid.has(parent)));
}

const OLD = [directory("foo", { mode: 0o700 }), file("foo/old", "12"), directory("foo/sub"), file("foo/sub/old", "12")];

describe("whiteouts hide lower layers only, wherever they stand in their own layer", () => {
  it("a deletion, then a file of the name: only the new file", async () => {
    expect(await outlineOf([file("foo", "12")], [whiteout("foo"), file("foo", "1")])).toEqual(["foo:1"]);
  });

  it("a file, then a deletion of the name: the new file stays", async () => {
    expect(await outlineOf([file("foo", "12")], [file("foo", "1"), whiteout("foo")])).toEqual(["foo:1"]);
  });

  it("a deletion, then a directory of the name: a new directory without the lower one's content", async () => {
    expect(await outlineOf(OLD, [whiteout("foo"), directory("foo"), file("foo/new", "1")])).toEqual([
      "foo",
      "foo/new:1",
    ]);
  });

  it("a directory, then a deletion of the name: the same", async () => {
    expect(await outlineOf(OLD, [directory("foo"), file("foo/new", "1"), whiteout("foo")])).toEqual([
      "foo",
      "foo/new:1",
    ]);
  });

  it("a file, then a directory of the name: the lower directory's content is gone", async () => {
    expect(await outlineOf(OLD, [file("foo"), directory("foo"), file("foo/new", "1")])).toEqual(["foo", "foo/new:1"]);
  });

  it.each([
    ["before", [opaque("foo"), file("foo/sub/new", "1"), file("foo/new", "1")]],
    ["between", [file("foo/sub/new", "1"), opaque("foo"), file("foo/new", "1")]],
    ["after", [file("foo/sub/new", "1"), file("foo/new", "1"), opaque("foo")]],
  ])("an opaque mark %s the new content: new content stays, under implied parents too", async (_, layer) => {
    expect(await outlineOf(OLD, layer)).toEqual(["foo", "foo/new:1", "foo/sub", "foo/sub/new:1"]);
  });

  it("content under a name that a deletion follows stays, under parents as if they were implied", async () => {
    await using dir = await tempDir();
    const root = async (name: string, layer: TreeNode[]): Promise<TreeEntry[]> => {
      mkdirSync(join(dir.path, name));
      await applyAll(join(dir.path, name), [OLD, layer]);
      return readTree(join(dir.path, name));
    };
    const after = await root("after", [file("foo/sub/new", "1"), whiteout("foo")]);
    expect(outline(after)).toEqual(["foo", "foo/sub", "foo/sub/new:1"]);
    expect(after).toEqual(await root("before", [whiteout("foo"), file("foo/sub/new", "1")]));
  });

  it("what the same layer replaced again and again stays its own", async () => {
    const layer = [
      file("foo/a", "1"),
      symlink("foo", "bar"),
      directory("foo"),
      file("foo/b", "1"),
      whiteout("foo"),
      opaque("foo"),
    ];
    expect(await outlineOf(OLD, layer)).toEqual(["foo", "foo/b:1"]);
  });

  it("a whole root is hidden, but not by a mark of the first layer", async () => {
    expect(await outlineOf([...OLD, opaque("")], [opaque(""), file("new", "1")])).toEqual(["new:1"]);
    expect(await outlineOf([...OLD, whiteout("foo"), opaque("foo")])).toEqual(outline(expectedTree([OLD])));
  });

  it("a deletion of nothing, twice, and below nothing is nothing", async () => {
    expect(await outlineOf([file("a", "1")], [whiteout("b"), whiteout("b"), whiteout("x/y/z"), opaque("x")])).toEqual([
      "a:1",
    ]);
  });

  it("thousands of lower names go at once, and what was written among them stays", async () => {
    const many = Array.from({ length: 3000 }, (_, index) => file(`foo/n${index}`, "12"));
    const seen = await outlineOf(many, [file("foo/n1500", "1"), opaque("foo")]);
    expect(seen).toEqual(["foo", "foo/n1500:1"]);
  });
});

describe("random layers with deletions anywhere in them", () => {
  const names = ["a", "b", "c"];
  const path = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("file", "directory", "symlink"), path }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("whiteout", "opaque"), path }) },
  );

  const layers = fc.array(
    fc
      .tuple(fc.array(step, { maxLength: 12 }), fc.array(fc.nat(20), { minLength: 1, maxLength: 5 }))
      .map(([steps, order]) => layerOf(steps, order)),
    { minLength: 1, maxLength: 3 },
  );

  it("come out as the spec's model says", async () => {
    await using dir = await tempDir();
    let run = 0;
    await fc.assert(
      fc.asyncProperty(layers, async (stack) => {
        const root = join(dir.path, String(run++));
        mkdirSync(root);
        await applyAll(root, stack);
        const seen = await readTree(root);
        expect(described(seen.slice(1))).toEqual(described(expectedTree(stack)));
      }),
      { numRuns: 60 },
    );
  });
});
