import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage } from "../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
import { createRng } from "../../test/kit/images/rng.ts";
import { applyAll } from "../../test/kit/layer/apply-all.ts";
import { findPeer } from "../../test/kit/peers.ts";
import { runOk } from "../../test/kit/peers/run.ts";
import { tempDir } from "../../test/kit/temp-dir.ts";
import { diffTrees } from "../../test/kit/trees/diff-trees.ts";
import { expectedTree } from "../../test/kit/trees/expected-tree.ts";
import { randomLayers } from "../../test/kit/trees/random-layers.ts";
import { readTree } from "../../test/kit/trees/read-tree.ts";
import { directory, type TreeNode } from "../../test/kit/trees/tree-node.ts";

const asRoot = process.getuid?.() === 0;
const umoci = findPeer("umoci");
const SEEDS = [11, 12, 13, 14, 15];

describe.skipIf(!asRoot)("random stacks of layers (need root)", () => {
  it.each(SEEDS)("seed %d: are the tree that the spec's model says", async (seed) => {
    await using dir = await tempDir();
    const layers = randomLayers(createRng(seed), { size: 80, layers: 5, maxFileSize: 4000 });
    await applyAll(dir.path, layers);
    expect(diffTrees(await readTree(dir.path), expectedTree(layers), { root: false })).toEqual([]);
  });

  it.skipIf(umoci === undefined).each(SEEDS)("seed %d: are the tree that umoci unpacks, the root too", async (seed) => {
    await using dir = await tempDir();
    const root: TreeNode = directory("", { mode: 0o711, uid: seed, mtime: BigInt(seed) * 1_000_000_007n });
    const [base = [], ...more] = randomLayers(createRng(seed * 7), { size: 60, layers: 3, maxFileSize: 4000 });
    const layers = [[...(seed % 2 === 0 ? [root] : []), ...base], ...more];
    const [layout, ours, theirs] = [join(dir.path, "layout"), join(dir.path, "ours"), join(dir.path, "theirs")];
    await writeOciLayout(layout, await buildImage({ layers, compression: "gzip" }));
    await runOk(umoci ?? "", ["unpack", "--image", `${layout}:latest`, theirs]);
    mkdirSync(ours);
    await applyAll(ours, layers);
    expect(diffTrees(await readTree(ours), await readTree(join(theirs, "rootfs")))).toEqual([]);
  });
});
