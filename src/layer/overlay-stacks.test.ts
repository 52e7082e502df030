/** The one thing that must hold of layers in overlay form: merged, they are the tree that applying them in turn gives. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createRng } from "../../test/kit/images/rng.ts";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { FILE_SYSTEM_CASES } from "../../test/kit/layer/file-system-cases.ts";
import { growStack, type GrownStack } from "../../test/kit/layer/grow-stack.ts";
import { bindLayers, canMountOverlays, readMerged } from "../../test/kit/layer/overlay-layers.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { randomLayers } from "../../test/kit/trees/random-layers.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import type { TreeNode } from "../../test/kit/trees/tree-node.ts";

const unshare = findPeer("unshare");
const GROW = join(import.meta.dirname, "../../test/kit/layer/grow-as.ts");
const FORMS = [{ userXattr: false }, { userXattr: true }];

/** @returns how many layers had to be applied onto their parents */
async function expectSame(layers: readonly (readonly TreeNode[])[], userXattr: boolean): Promise<number> {
  await using dir = await tempDir();
  const flat = join(dir.path, "flat");
  mkdirSync(flat);
  await applyAll(flat, layers);
  const bound = await bindLayers(dir.path, layers, { userXattr });
  expect(diffTrees(await readMerged(bound, { userXattr }), await readTree(flat))).toEqual([]);
  return bound.filter(({ replayed }) => replayed !== undefined).length;
}

/** As some builders write them: a layer says nothing of directories that it does not change. */
function withoutParents(layers: readonly (readonly TreeNode[])[]): TreeNode[][] {
  const known = new Set<string>();
  return layers.map((layer) => {
    const kept = layer.filter(({ type, path }) => type !== "directory" || !known.has(path));
    for (const { type, path } of layer) if (type === "directory") known.add(path);
    return kept;
  });
}

describe.skipIf(!canMountOverlays).each(FORMS)(
  "file systems (need overlay mounts), userXattr $userXattr",
  ({ userXattr }) => {
    it.each(FILE_SYSTEM_CASES)("%s", async (_, layers) => {
      await expectSame(layers, userXattr);
    });

    it.each(FILE_SYSTEM_CASES)("%s, without parents' entries", async (_, layers) => {
      await expectSame(withoutParents(layers), userXattr);
    });
  },
);

describe.skipIf(!canMountOverlays)("random stacks (need overlay mounts)", () => {
  it.each([21, 22, 23])("as builders make them, seed %d; none is applied twice without need", async (seed) => {
    const layers = randomLayers(createRng(seed), { size: 60, layers: 5, maxFileSize: 2000 });
    const linked = layers.slice(1).filter((layer) => layer.some(({ type }) => type === "link")).length;
    expect(await expectSame(layers, false)).toBe(linked);
  });

  it.each([24, 25])("as builders make them without parents' entries, seed %d", async (seed) => {
    await expectSame(withoutParents(randomLayers(createRng(seed), { size: 60, layers: 5, maxFileSize: 2000 })), false);
  });

  it.each(FORMS)("as nobody makes them, userXattr $userXattr", async ({ userXattr }) => {
    await using dir = await tempDir();
    const grown: GrownStack[] = [];
    for (let seed = 1; seed <= 4; seed++) {
      mkdirSync(join(dir.path, String(seed)));
      grown.push(await growStack(join(dir.path, String(seed)), seed, 10, { userXattr }));
    }
    expectVariety(grown);
  });

  it.skipIf(unshare === undefined)("as nobody makes them, as root of a user namespace", async () => {
    await using dir = await tempDir();
    const program = [process.execPath, GROW, dir.path, "user", "100", "4"];
    const { stdout } = await runOk(unshare ?? "", ["--user", "--map-root-user", "--mount", ...program]);
    expectVariety(JSON.parse(stdout.toString()) as GrownStack[]);
  });
});

/** Or the property would hold of nothing. */
function expectVariety(grown: readonly GrownStack[]): void {
  const sum = (of: (each: GrownStack) => number): number => grown.reduce((total, each) => total + of(each), 0);
  expect(sum(({ layers }) => layers)).toBeGreaterThan(2 * grown.length);
  expect(sum(({ replayed }) => replayed)).toBeGreaterThan(grown.length / 2);
  expect(sum(({ layers, replayed }) => layers - replayed)).toBeGreaterThan(grown.length);
  expect(sum(({ refused }) => refused)).toBeGreaterThan(grown.length);
}
