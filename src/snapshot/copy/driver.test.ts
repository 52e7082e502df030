import { chownSync, existsSync, mkdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { packTree } from "../../../test/kit/images/pack-tree.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { applyAll, piecesOf } from "../../../test/kit/layer/apply-all.ts";
import { canMount } from "../../../test/kit/mounts/can-mount.ts";
import { findPeer } from "../../../test/kit/peers.ts";
import { runOk } from "../../../test/kit/peers/run.ts";
import { SnapshotBench } from "../../../test/kit/snapshot/bench.ts";
import type { CopyAsResult } from "../../../test/kit/snapshot/copy-as.ts";
import { snapshotterSuite } from "../../../test/kit/snapshot/snapshotter.suite.ts";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import { diffTrees } from "../../../test/kit/trees/diff-trees.ts";
import { randomLayers } from "../../../test/kit/trees/random-layers.ts";
import { readTree } from "../../../test/kit/trees/read-tree.ts";
import { device, directory, file, symlink, whiteout, type TreeNode } from "../../../test/kit/trees/tree-node.ts";
import { digestOf } from "../../oci/digest.ts";
import { CopyDriver } from "./driver.ts";

const asRoot = process.getuid?.() === 0;
const setpriv = findPeer("setpriv");
const NOBODY = 65_534;
const PROGRAM = join(import.meta.dirname, "../../../test/kit/snapshot/copy-as.ts");
const makeDriver = (store: ConstructorParameters<typeof CopyDriver>[0]): CopyDriver => new CopyDriver(store);

snapshotterSuite("the copy driver", makeDriver, { mounts: canMount() });

/** Layers staged and committed in order, as a pull does it. @returns the tree of the last */
async function unpack(bench: SnapshotBench, layers: readonly (readonly TreeNode[])[]): Promise<string> {
  const { snapshots } = bench;
  for (const [index, nodes] of layers.entries()) {
    const tar = packTree(nodes);
    await using staged = await snapshots.stage(digestOf(tar));
    const parent = index === 0 ? {} : { parent: `layer ${index - 1}` };
    await snapshots.commit(`layer ${index}`, staged.key, { tar: () => Promise.resolve(piecesOf(tar)), ...parent });
  }
  const [mount] = await snapshots.view("view", `layer ${layers.length - 1}`);
  return mount!.source;
}

async function flat(layers: readonly (readonly TreeNode[])[], path: string): Promise<string> {
  mkdirSync(path);
  await applyAll(path, layers);
  return path;
}

describe.skipIf(!asRoot)("layers in copies (owners need root)", () => {
  it("are the tree that applying them one after the other gives", async () => {
    for (let seed = 1; seed <= 3; seed++) {
      await using bench = await SnapshotBench.open(makeDriver);
      const layers = randomLayers(createRng(seed), { size: 60, layers: 5, maxFileSize: 5000 });
      const expected = await flat(layers, join(bench.path, "flat"));
      expect(diffTrees(await readTree(await unpack(bench, layers)), await readTree(expected))).toEqual([]);
    }
  });

  it("keep a root that the lowest describes and leaves empty", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const layers = [[directory("", { mode: 0o700, uid: 3 })], [], [file("file", "x")]];
    const expected = await flat(layers, join(bench.path, "flat"));
    expect(diffTrees(await readTree(await unpack(bench, layers)), await readTree(expected))).toEqual([]);
  });
});

describe("a tree that takes the place of another", () => {
  it("is the old one when a death came between the two steps", async () => {
    await using bench = await SnapshotBench.open(makeDriver);
    const [mount] = await bench.snapshots.prepare("key");
    const tree = mount!.source;
    writeFileSync(join(tree, "written"), "x");
    renameSync(tree, `${tree}.old`);
    mkdirSync(`${tree}.new`);
    expect((await bench.snapshots.mounts("key"))[0]?.source).toBe(tree);
    expect(existsSync(join(tree, "written"))).toBe(true);
    renameSync(tree, `${tree}.old`);
    await bench.snapshots.commit("name", "key");
    expect(existsSync(join(tree, "written"))).toBe(true);
  });
});

describe.skipIf(!asRoot || setpriv === undefined)("copies of one who is not root (needs root to become one)", () => {
  it("hold all that he may have, shut to him or not, and tell what was left out", async () => {
    const layers = [
      [
        directory("locked", { mode: 0o555 }),
        file("locked/a", "a", { mode: 0o000 }),
        directory("locked/shut", { mode: 0o000 }),
        file("locked/shut/b", "b", { mode: 0o200 }),
        directory("locked/shut/deep", { mode: 0o000 }),
        file("locked/shut/deep/c", "c"),
        file("setuid", "x", { uid: 5, gid: 6, mode: 0o6755 }),
        file("plain", "x", { mode: 0o4755, uid: NOBODY, gid: NOBODY }),
        symlink("link", "locked"),
        device("null", "char", 1, 3),
      ],
      [file("locked/shut/deep/new", "n"), whiteout("locked/shut/b"), file("locked/new", "n")],
      [file("top", "x")],
    ];
    await using dir = await tempDir();
    chownSync(dir.path, NOBODY, NOBODY);
    const tars = layers.map((nodes, index) => {
      const path = join(dir.path, `${index}.tar`);
      writeFileSync(path, packTree(nodes));
      return path;
    });
    const become = ["--reuid", String(NOBODY), "--regid", String(NOBODY), "--clear-groups"];
    const args = [...become, process.execPath, PROGRAM, join(dir.path, "store"), ...tars];
    const { stdout } = await runOk(setpriv!, args, { env: { HOME: dir.path } });
    const { committed, prepared, skipped } = JSON.parse(stdout.toString()) as CopyAsResult;
    expect(skipped[0]).toMatchObject({ devices: 1, xattrs: 0 });
    expect(skipped[0]!.owners).toBeGreaterThan(0);

    const wanted = layers.map((nodes) => nodes.filter(({ type }) => type !== "char"));
    const expected = await readTree(await flat(wanted, join(dir.path, "flat")));
    const options = { ignore: ["uid", "gid"] } as const;
    for (const tree of [committed, prepared]) {
      // The one program that is not his loses what would make it his.
      expect(diffTrees(await readTree(tree), expected, options)).toEqual(['"setuid": mode 0o755 / 0o6755']);
    }
  });
});
