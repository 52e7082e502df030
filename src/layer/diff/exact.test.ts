/** The promise of a diff: applied to what was there, it gives what is there now, to the last bit; of trees and of overlays. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRng } from "../../../test/kit/images/rng.ts";
import { applyAll } from "../../../test/kit/layer/apply-all.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { mountDir } from "../../../test/kit/mounts/mount-dir.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diffTrees } from "../../../test/kit/trees/diff-trees.ts";
import { copyTree } from "../../../test/kit/trees/edit-tree.ts";
import { randomEdits } from "../../../test/kit/trees/random-edits.ts";
import { randomTree } from "../../../test/kit/trees/random-tree.ts";
import { readTree } from "../../../test/kit/trees/read-tree.ts";
import { mountAll } from "../../snapshot/mount-all.ts";
import { applyLayer } from "../apply-layer.ts";
import { LayerApplier } from "../apply.ts";
import { bindLayer } from "../index-replay.ts";
import { emptyIndex } from "../index-tree.ts";
import { readLayer } from "../read-layer.ts";
import { unpackErofs } from "../unpack-erofs.ts";
import type { Change } from "./change.ts";
import { changesOfTree, changesOfTrees, changesOfUpper, type Tree } from "./changes.ts";
import { IndexDirectory } from "./index-directory.ts";
import { writeLayerTar } from "./layer-tar.ts";

const isRoot = process.getuid?.() === 0;
const SEEDS = [1, 2, 3, 4];
const TREE = { size: 40, maxFileSize: 5000 };
const EDITS = 30;
const exactly = { rootTime: true };

async function applyTo(root: string, changes: AsyncIterable<Change>): Promise<void> {
  using applier = new LayerApplier(root);
  await applyLayer(writeLayerTar(changes), applier);
  applier.finish();
}

describe.skipIf(!isRoot)("changes of trees (need root)", () => {
  it.each(SEEDS)("seed %d: what was done to a copy, done to the original", async (seed) => {
    await using dir = await tempDir();
    const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
    const rng = createRng(seed);
    mkdirSync(a);
    await applyAll(a, [randomTree(rng, TREE)]);
    await copyTree(a, b);
    randomEdits(rng, b, EDITS);
    await applyTo(a, changesOfTrees(a, b, exactly));
    expect(diffTrees(await readTree(a), await readTree(b))).toEqual([]);
    expect(await Array.fromAsync(changesOfTrees(a, b, exactly))).toEqual([]);
  });

  it.each(SEEDS.slice(0, 2))("seed %d: from any tree to any other", async (seed) => {
    await using dir = await tempDir();
    const [a, b] = [join(dir.path, "a"), join(dir.path, "b")];
    for (const [index, path] of [a, b].entries()) {
      mkdirSync(path);
      await applyAll(path, [randomTree(createRng(seed * 2 + index), TREE)]);
    }
    await applyTo(a, changesOfTrees(a, b, exactly));
    expect(diffTrees(await readTree(a), await readTree(b))).toEqual([]);
  });
});

describe.skipIf(!isRoot)("changes of indexes over layers (need root)", () => {
  it.each(SEEDS)("seed %d: those of the trees that the layers make", async (seed) => {
    await using dir = await tempDir();
    const place = (name: string): string => {
      mkdirSync(join(dir.path, name));
      return join(dir.path, name);
    };
    const [a, b, again, lower, upper] = ["a", "b", "c", "l", "u"].map(place) as [
      string,
      string,
      string,
      string,
      string,
    ];
    const rng = createRng(seed);
    await applyAll(a, [randomTree(rng, TREE)]);
    await copyTree(a, b);
    randomEdits(rng, b, EDITS);
    await unpackErofs(writeLayerTar(changesOfTree(a, exactly)), lower);
    await unpackErofs(writeLayerTar(changesOfTrees(a, b, exactly)), upper);
    const before = treeOf([lower]);
    const after = treeOf([lower, upper]);
    await applyTo(again, changesOfTree(before, exactly));
    expect(diffTrees(await readTree(again), await readTree(a))).toEqual([]);
    expect(await told(changesOfTrees(before, after, exactly))).toEqual(await told(changesOfTrees(a, b, exactly)));
    await applyTo(again, changesOfTrees(before, after, exactly));
    expect(diffTrees(await readTree(again), await readTree(b))).toEqual([]);
  });
});

/** The tree of layers that were unpacked to these directories. */
function treeOf(layers: readonly string[]): Tree {
  let tree = emptyIndex();
  const devices: string[] = [];
  for (const layer of layers.map(readLayer)) {
    tree = bindLayer(tree, layer);
    devices.push(...layer.devices);
  }
  return { open: () => IndexDirectory.open(tree, devices) };
}

async function told(changes: AsyncIterable<Change>): Promise<string[]> {
  return (await Array.fromAsync(changes)).map(({ kind, path }) => `${kind} ${path}`);
}

describe.skipIf(!isRoot || !canMount())("changes of an overlay's upper directory (need root and mounts)", () => {
  it.each(SEEDS)("seed %d: what was done through the mount, done to what lay below", async (seed) => {
    await using dir = await mountDir();
    const place = (name: string): string => {
      mkdirSync(join(dir.path, name));
      return join(dir.path, name);
    };
    const [lower, middle, upper, work, target, flat] = ["l", "m", "u", "w", "t", "f"].map(place) as Paths;
    const rng = createRng(seed);
    await applyAll(lower, [randomTree(rng, TREE)]);
    await applyAll(middle, [randomTree(rng, { ...TREE, size: 15 })]);
    const below = [`lowerdir=${middle}:${lower}`];
    const options = [...below, `upperdir=${upper}`, `workdir=${work}`, "index=off", "metacopy=off", "redirect_dir=off"];
    const view = place("v");
    await mountAll([{ type: "overlay", source: "overlay", options: below }], view);
    await mountAll([{ type: "overlay", source: "overlay", options }], target);
    await copyTree(view, flat);
    randomEdits(rng, target, EDITS);
    const expected = await readTree(target);
    const changes = changesOfUpper(upper, { lower: { path: view }, userXattr: false, ...exactly });
    await applyTo(flat, changes);
    expect(diffTrees(await readTree(flat), expected)).toEqual([]);
  });
});

type Paths = [string, string, string, string, string, string];
