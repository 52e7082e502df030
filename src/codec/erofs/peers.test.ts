/** What erofs-utils make of our indexes, and we of theirs. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { writeChunks } from "../../../test/kit/erofs/mount-index.ts";
import { randomIndex } from "../../../test/kit/erofs/random-index.ts";
import { treeOfTar } from "../../../test/kit/erofs/tree-of-tar.ts";
import { findErofsUtil, fsckIndex } from "../../../test/kit/erofs/utils.ts";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diffTrees } from "../../../test/kit/trees/diff-trees.ts";
import { expectedTree } from "../../../test/kit/trees/expected-tree.ts";
import { randomTree } from "../../../test/kit/trees/random-tree.ts";
import { readTree } from "../../../test/kit/trees/read-tree.ts";
import { directory } from "../../../test/kit/trees/tree-node.ts";
import { readErofs } from "./reader.ts";
import { encodeErofs } from "./writer.ts";

const UUID = Buffer.alloc(16, 3);
const isRoot = process.getuid?.() === 0;

describe.skipIf(findErofsUtil("fsck.erofs") === undefined)("fsck.erofs", () => {
  it.skipIf(!isRoot).each([1, 2])("extracts what the tar describes (seed %i)", async (seed) => {
    await using dir = await tempDir();
    const nodes = randomTree(createRng(seed), { size: 150, maxFileSize: 3000 });
    const [tar, index, out] = ["tar", "index", "out"].map((name) => join(dir.path, name)) as [string, string, string];
    const bytes = packTree(nodes);
    await writeFile(tar, bytes);
    writeChunks(index, encodeErofs(treeOfTar(bytes), { uuid: UUID }));
    expect(await fsckIndex(index, [tar], [`--extract=${out}`, "--preserve", "--xattrs"])).toEqual([]);
    // It copies hard links, and gives symbolic links no time.
    const differences = diffTrees(expectedTree([nodes]), await readTree(out), { root: false, ignore: ["linkedTo"] });
    const isLink = (line: string) =>
      nodes.some(({ type, path }) => type === "symlink" && line.startsWith(`${JSON.stringify(path)}: mtime`));
    expect(differences.filter((line) => !isLink(line))).toEqual([]);
  });

  it.each([1, 2, 3])("finds nothing wrong with a random index (seed %i)", async (seed) => {
    await using dir = await tempDir();
    const tree = randomIndex(createRng(seed), { size: 300, devices: 5 });
    const index = join(dir.path, "index");
    writeChunks(index, encodeErofs(tree, { uuid: UUID }));
    expect(await fsckIndex(index, [], [])).toEqual([]);
  });
});

describe.skipIf(findErofsUtil("mkfs.erofs") === undefined)("an index made by mkfs.erofs", () => {
  it.each([1, 2, 3])("reads as the tree that its tar describes (seed %i)", async (seed) => {
    await using dir = await tempDir();
    const root = directory("", { mode: 0o755, mtime: 1_700_000_000_000_000_000n });
    const nodes = [root, ...randomTree(createRng(seed), { size: 150, maxFileSize: 3000 })];
    const bytes = packTree(nodes);
    const [tar, index] = [join(dir.path, "tar"), join(dir.path, "index")];
    await writeFile(tar, bytes);
    await runOk("mkfs.erofs", ["--quiet", "--tar=i", index, tar]);
    const theirs = readErofs(await readFile(index));
    const ours = readErofs(Buffer.concat([...encodeErofs(treeOfTar(bytes), { uuid: UUID })]));
    expect(theirs.root).toEqual(ours.root);
  });
});
