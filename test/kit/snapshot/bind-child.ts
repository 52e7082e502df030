/**
 * A process that brings an image's layers into a store's snapshots with a driver that mounts: `node bind-child.ts <job as JSON>`. It prints
 * one JSON value: in what the outcome differs from applying the layers one after the other.
 */
import { createRng } from "../images/rng.ts";
import { packTree } from "../images/pack-tree.ts";
import { applyAll, piecesOf } from "../layer/apply-all.ts";
import { diffTrees } from "../trees/diff-trees.ts";
import { randomLayers } from "../trees/random-layers.ts";
import { readTree } from "../trees/read-tree.ts";
import { directory, file, hardlink, opaque, whiteout, type TreeNode } from "../trees/tree-node.ts";
import { unpackLayer } from "../../../src/layer/unpack-layer.ts";
import { digestOf } from "../../../src/oci/digest.ts";
import { openDriver } from "../../../src/snapshot/drivers.ts";
import { mountAll, unmount } from "../../../src/snapshot/mount-all.ts";
import { Snapshots } from "../../../src/snapshot/service.ts";
import type { DriverName } from "../../../src/snapshot/types.ts";
import { openStore } from "../../../src/store/store.ts";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { bindTars } from "./bind-tars.ts";

export interface BindJob {
  /** An empty directory. */
  readonly path: string;
  readonly driver: DriverName;
  /**
   * `compare`: layers at random. `replay`: dies while a layer is applied onto its parents. `write`: dies when what was written to an active
   * snapshot is bound and not yet recorded.
   */
  readonly act: "compare" | "replay" | "write";
}

const MARKS: readonly (readonly TreeNode[])[] = [
  [directory("d", { mode: 0o750, mtime: 5n }), file("d/a", "1"), file("d/e/b", "2"), file("f", "3")],
  [whiteout("f"), opaque("d/e"), file("d/e/c", "4")],
  [hardlink("g", "d/a"), file("d/h", "5")],
];

const job = JSON.parse(process.argv[2]!) as BindJob;
const store = await openStore(join(job.path, "store"), { sync: false });
const snapshots = new Snapshots({
  store,
  driver: await openDriver(job.driver, store),
  sync: false,
  step: (step) => {
    if (job.act === "write" && step === "bound") die();
  },
});

switch (job.act) {
  case "compare":
    console.log(JSON.stringify(await compare()));
    break;
  case "replay":
    await replay();
    break;
  case "write": {
    const root = join(job.path, "root");
    await mkdir(root);
    await mountAll(await snapshots.prepare("active"), root);
    await writeFile(join(root, "file"), "written");
    await unmount(root);
    await snapshots.commit("written", "active");
    break;
  }
}
await store.close();

/** As a crash does it: no handler runs, nothing is flushed. */
function die(): never {
  process.kill(process.pid, "SIGKILL");
  for (;;) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
}

async function compare(): Promise<string[]> {
  const lines: string[] = [];
  for (let seed = 1; seed <= 3; seed++) {
    const random = randomLayers(createRng(seed), { size: 40, layers: 4, maxFileSize: 2000 });
    // A user namespace of one user has no other owners, and makes no devices.
    const layers = [...random.map((nodes) => nodes.filter(isOrdinary).map(ownedByRoot)), ...MARKS];
    const tars = layers.map((nodes) => packTree(nodes));
    const [flat, root] = [join(job.path, `flat ${seed}`), join(job.path, `root ${seed}`)];
    await mkdir(flat);
    await mkdir(root);
    await applyAll(flat, tars);
    const top = (await bindTars(snapshots, tars)).at(-1);
    await mountAll(await snapshots.view(`view ${seed}`, top), root);
    lines.push(...diffTrees(await readTree(root), await readTree(flat)).map((line) => `seed ${seed}: ${line}`));
    await unmount(root);
  }
  return lines;
}

function isOrdinary({ type }: TreeNode): boolean {
  return !["char", "block", "link"].includes(type);
}

function ownedByRoot(node: TreeNode): TreeNode {
  return { ...node, uid: 0, gid: 0, xattrs: {} };
}

async function replay(): Promise<void> {
  const [base, link] = [[file("a", "1")], [hardlink("b", "a")]].map((nodes) => packTree(nodes)) as [Buffer, Buffer];
  const [parent] = await bindTars(snapshots, [base]);
  const staged = await snapshots.stage(digestOf(link));
  const layer = await unpackLayer(piecesOf(link), staged.target!, {});
  const tar = async function* (): AsyncGenerator<Uint8Array> {
    yield link.subarray(0, 600);
    die();
  };
  await snapshots.commit("never", staged.key, { parent: parent!, layer, tar: () => Promise.resolve(tar()) });
}
