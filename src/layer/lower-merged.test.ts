/** Files of several names in lower layers: an overlay would break them apart. */
import { lstatSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { applyAll, piecesOf } from "../../test/kit/layer/apply-all.ts";
import { bindLayers, canMountOverlays, mountOverlay, readMerged } from "../../test/kit/layer/overlay-layers.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, file, hardlink, symlink, whiteout, type TreeNode } from "../../test/kit/trees/tree-node.ts";
import { applyOver } from "./apply-over.ts";
import { NEW_UPPER, settleImplied } from "./overlay-settle.ts";

const LOWER = [
  directory("d", { mtime: 5n }),
  directory("e", { mtime: 6n }),
  file("d/a", "content", { mode: 0o644 }),
  hardlink("e/b", "d/a"),
  hardlink("c", "d/a"),
  symlink("s", "nowhere"),
  hardlink("s2", "s"),
  file("single", "1"),
];

describe.skipIf(!canMountOverlays)("a hard link to a file of lower layers (needs overlay mounts)", () => {
  it.each<[string, TreeNode[]]>([
    ["is one more of its names, and what it says holds for all", [hardlink("new", "d/a", { mode: 0o4711, uid: 7 })]],
    ["to one name of many", [hardlink("new", "e/b"), hardlink("newer", "c")]],
    ["that is there already changes all names", [hardlink("e/b", "d/a", { mode: 0o600, mtime: 1n })]],
    ["over another file", [hardlink("single", "c", { mode: 0o600 })]],
    ["to a file of one name", [hardlink("new", "single", { mode: 0o600 })]],
    ["to a symbolic link", [hardlink("new", "s", { uid: 3 })]],
    ["after a name was deleted", [whiteout("e/b"), hardlink("new", "d/a", { mode: 0o600 })]],
    ["before a name is deleted", [hardlink("new", "d/a", { mode: 0o600 }), whiteout("e/b"), whiteout("d/a")]],
    ["after a name was replaced", [file("c", "other"), hardlink("new", "d/a", { mode: 0o600 })]],
    ["after a directory above a name was replaced", [symlink("e", "d"), hardlink("new", "d/a", { mode: 0o600 })]],
    ["after a directory above a name was emptied", [whiteout("e"), file("e/b", "x"), hardlink("new", "c")]],
  ])("%s", async (_, layer) => {
    await using dir = await tempDir();
    const flat = join(dir.path, "flat");
    mkdirSync(flat);
    const layers = [LOWER, [directory("")], layer, [file("above", "1")]];
    await applyAll(flat, layers);
    const bound = await bindLayers(dir.path, layers);
    expect(bound[1]?.replayed).toMatch(/hard link/);
    expect(diffTrees(await readMerged(bound), await readTree(flat))).toEqual([]);
    using mount = mountOverlay(bound.map(({ directory: path }) => path));
    const links = (root: string): number => lstatSync(join(root, "d/a"), { throwIfNoEntry: false })?.nlink ?? 0;
    // Of a file that a lower layer still has under other names, too, overlayfs counts those.
    if (!layer.some(({ path }) => path.includes(".wh.") || path === "c" || path === "e"))
      expect(links(mount.path)).toBe(links(flat));
  });

  it("is looked for once, however many there are", async () => {
    await using dir = await tempDir();
    const layer = Array.from({ length: 300 }, (_, index) => hardlink(`n${index}`, index % 2 === 0 ? "d/a" : "c"));
    const [only] = await bindLayers(dir.path, [LOWER, layer]);
    expect(lstatSync(join(only?.directory ?? "", "n7")).nlink).toBe(303);
  });
});

describe.skipIf(!canMountOverlays)("a layer applied onto a mounted overlay (needs overlay mounts)", () => {
  it("leaves an emptied root as it is, and touched directories their times", async () => {
    await using dir = await tempDir();
    const lower = [directory("", { mode: 0o711, mtime: 9n }), directory("d", { mtime: 5n }), file("d/f")];
    const layers = [lower, [whiteout("d")], [hardlink("x", "none")]];
    await expect(bindLayers(dir.path, layers)).rejects.toMatchObject({ code: "LAYER_INVALID" });
    await using other = await tempDir();
    const bound = await bindLayers(other.path, layers.slice(0, 2));
    const [upper, work] = [join(other.path, "upper"), join(other.path, "work")];
    for (const path of [upper, work]) mkdirSync(path);
    const parents = bound.map(({ directory: path }) => path);
    settleImplied({ directory: upper, open: NEW_UPPER, parents, userXattr: false });
    using mount = mountOverlay(parents, { upper, work });
    const { report } = await applyOver(piecesOf(packTree([file("new", "1")])), mount.path);
    expect(report.files).toBe(1);
    const root = statSync(mount.path, { bigint: true });
    expect([Number(root.mode & 0o7777n), root.mtimeNs]).toEqual([0o711, 9n]);
  });
});
