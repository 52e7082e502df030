import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { snapshotContext, type SnapshotContext } from "../../../test/kit/snapshot/unpacked-image.ts";
import { directory, file, hardlink, whiteout, type TreeNode } from "../../../test/kit/trees/tree-node.ts";
import type { KitImage } from "../../../test/kit/images/build-image.ts";
import { splitPath } from "../../layer/seekable/split-path.ts";
import { folderIds } from "../../snapshot/folder.ts";
import { OverlayDriver } from "../../snapshot/overlay/driver.ts";
import { sweepSnapshots } from "../../snapshot/sweep.ts";
import { StoreLayout } from "../../store/layout.ts";
import { removeImages } from "../images.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { openDeltaRoots } from "./delta-roots.ts";
import { HeldLayerTars } from "./held-layer-tars.ts";

const canOverlay = (await usableDrivers()).includes("overlay");

const LAYERS: TreeNode[][] = [
  [file("dir/a", "one"), file("dir/b", "x".repeat(100_000))],
  [whiteout("dir/a"), file("dir/c", "three"), hardlink("d", "dir/c")],
];

async function withoutBlobs(layers = LAYERS): Promise<{ context: SnapshotContext; image: KitImage }> {
  const context = await snapshotContext(({ store }) => OverlayDriver.open(store));
  const { image } = await context.addImage("localhost/image:1", { layers });
  for (const { descriptor } of image.layers) await rm(context.store.content.pathOf(descriptor.digest));
  return { context, image };
}

async function expectLayers(tars: HeldLayerTars, { layers }: KitImage): Promise<void> {
  for (const { diffId, tar } of layers) {
    expect(await tars.has(diffId)).toBe(true);
    await using first = await tars.open(diffId);
    await using second = await tars.open(diffId);
    expect((await pieceOf(first, 0, first.size)).equals(tar)).toBe(true);
    expect((await pieceOf(second, 700, 900)).equals(tar.subarray(700, 1600))).toBe(true);
  }
}

describe.skipIf(!canOverlay)("layers that only overlay's trees have", () => {
  it("give their tars, and go with their snapshots but not while they are read", async () => {
    const { context, image } = await withoutBlobs();
    const { store } = context;
    const sweep = async (): Promise<number> => {
      await sweepSnapshots({ store, drivers: [await OverlayDriver.open(store)] });
      return (await folderIds(new StoreLayout(store.root).snapshots)).length;
    };
    {
      await using tars = new HeldLayerTars(context);
      await expectLayers(tars, image);
      await removeImages(context, ["localhost/image:1"]);
      expect(await sweep()).toBe(2);
      await expectLayers(tars, image);
    }
    expect(await sweep()).toBe(0);
    await using tars = new HeldLayerTars(context);
    expect(await tars.has(image.layers[0]!.diffId)).toBe(false);
  });

  it("are cloned with what gives their tars", async () => {
    const { context, image } = await withoutBlobs();
    const { snapshots, store } = context;
    const [first] = image.layers;
    expect(await snapshots.driver.holds(first!.diffId)).toBe(true);
    // On other parents, so that its implied directory has other attributes.
    const { top } = await context.addImage("localhost/other:1", {
      layers: [[directory("dir", { mode: 0o700 })], [file("other", "other")]],
    });
    await snapshots.adopt("moved", top, first!.diffId, {});
    const [original, clone] = await store.snapshots.findByDiffId("overlay", first!.diffId);
    expect([original?.tree, clone?.tree]).toEqual([undefined, undefined]);
    await rm(new StoreLayout(store.root).snapshot(original!.id), { recursive: true });
    await using tars = new HeldLayerTars(context);
    await expectLayers(tars, image);
  });

  it("are found in another store that nothing is written to, without its database", async () => {
    const { context, image } = await withoutBlobs();
    await rm(join(context.store.root, "meta.db"));
    await using tars = new HeldLayerTars({
      ...(await transferContext()),
      roots: await openDeltaRoots([context.store.root], context.signal),
    });
    await expectLayers(tars, image);
    expect(await readdir(context.store.root)).not.toContain("meta.db");
  });

  it("are missing when the tar-split is damaged, and told to have changed when the tree is", async () => {
    const { context, image } = await withoutBlobs();
    const { store } = context;
    const diffId = image.layers[0]!.diffId;
    const [snapshot] = await store.snapshots.findByDiffId("overlay", diffId);
    const folder = new StoreLayout(store.root).snapshot(snapshot!.id);
    {
      await writeFile(join(folder, "fs/dir/a"), "two");
      await using tars = new HeldLayerTars(context);
      await using tar = await tars.open(diffId);
      await expect(pieceOf(tar, 0, tar.size)).rejects.toMatchObject({ code: "SOURCE_CHANGED" });
    }
    await writeFile(splitPath(folder), "damaged");
    await using tars = new HeldLayerTars(context);
    await expect(tars.open(diffId)).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
  });

  it("hang nobody up on what lies in their place in another store", async () => {
    const { context, image } = await withoutBlobs();
    const layout = new StoreLayout(context.store.root);
    const fifo = async (path: string): Promise<void> => {
      await rm(path);
      execFileSync("mkfifo", [path]);
    };
    const [first, second] = await folderIds(layout.snapshots);
    await fifo(splitPath(layout.snapshot(first!)));
    await fifo(join(layout.snapshot(second!), "layer.json"));
    const roots = await openDeltaRoots([context.store.root], context.signal);
    await using tars = new HeldLayerTars({ ...(await transferContext()), roots });
    for (const { diffId } of image.layers) {
      await expect(tars.open(diffId)).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
    }
  });

  it("keep none of a layer that was applied onto its parents", async () => {
    const { context, image } = await withoutBlobs([[file("a", "below")], [hardlink("b", "a")]]);
    await using tars = new HeldLayerTars(context);
    expect(await Promise.all(image.layers.map(({ diffId }) => tars.has(diffId)))).toEqual([true, false]);
    const snapshots = new StoreLayout(context.store.root).snapshots;
    const kept = (await readdir(snapshots)).filter((name) => existsSync(splitPath(join(snapshots, name))));
    expect(kept.length).toBe(1);
  });
});
