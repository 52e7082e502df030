/** The kernel as the last judge: stacks of layers, kept as their tars, are mounted, and are what applying them to a directory makes. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { canMountIndexes, mountIndex, rootOf, writeChunks } from "../../test/kit/erofs/mount-index.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { applyAll, piecesOf } from "../../test/kit/layer/apply-all.ts";
import { withoutInvalid } from "../../test/kit/layer/index-layers.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { randomLayers } from "../../test/kit/trees/random-layers.ts";
import { readTree, type TreeEntry } from "../../test/kit/trees/read-tree.ts";
import type { TreeNode } from "../../test/kit/trees/tree-node.ts";
import { wildLayers } from "../../test/kit/trees/wild-layers.ts";
import { encodeErofs } from "../codec/erofs/writer.ts";
import { MS_RDONLY, openFileSystem } from "../sys/mount.ts";
import { indexUuid } from "./index-facts.ts";
import { bindLayer } from "./index-replay.ts";
import { emptyIndex } from "./index-tree.ts";
import { readLayer } from "./read-layer.ts";
import { unpackErofs } from "./unpack-erofs.ts";

async function applied(dir: string, layers: readonly (readonly TreeNode[])[]): Promise<TreeEntry[]> {
  const root = join(dir, "tree");
  mkdirSync(root);
  await applyAll(root, layers);
  return readTree(root);
}

async function unpackAll(dir: string, layers: readonly (readonly TreeNode[])[]): Promise<string[]> {
  const folders = layers.map((_, number) => join(dir, `layer${number}`));
  for (const [number, nodes] of layers.entries()) await unpackErofs(piecesOf(packTree(nodes)), folders[number] ?? "");
  return folders;
}

describe.skipIf(!canMountIndexes())("layers kept as their tars, mounted (needs root and EROFS from files)", () => {
  it.each([1, 2, 3, 4, 5, 6])("are one tree under one index (seed %d)", async (seed) => {
    await using dir = await tempDir();
    const layers =
      seed % 2 === 0
        ? withoutInvalid(wildLayers(createRng(seed)))
        : randomLayers(createRng(seed), { size: 80, layers: 5, maxFileSize: 9000, parents: 0.8 });
    const wanted = await applied(dir.path, layers);
    let tree = emptyIndex();
    const devices: string[] = [];
    for (const folder of await unpackAll(dir.path, layers)) {
      const layer = readLayer(folder);
      tree = bindLayer(tree, layer);
      devices.push(...layer.devices);
    }
    const index = join(dir.path, "index");
    writeChunks(index, encodeErofs(tree, { uuid: indexUuid([]) }));
    using mount = mountIndex(index, devices);
    expect(diffTrees(wanted, await readTree(rootOf(mount)))).toEqual([]);
  });

  it("are one tree when each is mounted by itself, and an overlay put over them", async ({ skip }) => {
    await using dir = await tempDir();
    const options = { size: 60, layers: 5, maxFileSize: 2000, parents: 1, lowerLinks: false };
    const layers = randomLayers(createRng(5), options);
    const wanted = await applied(dir.path, layers);
    const folders = await unpackAll(dir.path, layers);
    using mounts = new DisposableStack();
    const lower = folders.map((folder) => {
      const index = mountIndex(join(folder, "index.erofs"), readLayer(folder).devices);
      return rootOf(mounts.use(index));
    });
    const parameters = lower.toReversed().map((value) => ({ key: "lowerdir+", value }));
    let overlay;
    try {
      overlay = openFileSystem("overlay", parameters, MS_RDONLY);
    } catch (cause) {
      return skip(`no overlay can be mounted here: ${String(cause)}`);
    }
    using shown = overlay;
    // An overlay shows the root of its topmost layer.
    expect(diffTrees(wanted, await readTree(rootOf(shown)), { root: false })).toEqual([]);
  });
});
