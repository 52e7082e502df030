/** That the layers of pulls are sources of deltas, with each driver, whatever became of their blobs. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { directory, file, hardlink, whiteout } from "../../../test/kit/trees/tree-node.ts";
import { splitPath } from "../../layer/seekable/split-path.ts";
import { openDriver } from "../../snapshot/drivers.ts";
import { Snapshots } from "../../snapshot/service.ts";
import type { DriverName } from "../../snapshot/types.ts";
import { StoreLayout } from "../../store/layout.ts";
import type { TransferContext } from "../context.ts";
import { pull } from "../pull.ts";
import { HeldLayerTars } from "./held-layer-tars.ts";

const usable = await usableDrivers();

const LAYERS = [
  [directory("dir"), file("dir/a", "one"), file("dir/b", "x".repeat(70_000))],
  [whiteout("dir/a"), file("dir/c", "three"), hardlink("dir/d", "dir/c")],
];

async function pulled(name: DriverName, discardBlobs: boolean): Promise<{ context: TransferContext; image: KitImage }> {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const context = await transferContext();
  const driver = await openDriver(name, context.store);
  const snapshots = new Snapshots({ store: context.store, driver, sync: false });
  const image = await buildImage({ layers: LAYERS });
  await pushImage(registry.host, "app", "1", image);
  const unpacking = { ...context, snapshotter: { choice: name, open: () => Promise.resolve({ snapshots }) } };
  await pull(unpacking, `${registry.host}/app:1`, { discardBlobs });
  return { context, image };
}

async function keptSplits({ root }: { readonly root: string }): Promise<number> {
  const { snapshots } = new StoreLayout(root);
  return (await readdir(snapshots)).filter((id) => existsSync(splitPath(join(snapshots, id)))).length;
}

describe("layers of a pull", () => {
  it.for([
    ["erofs", true, 0],
    ["overlay", true, 2],
    ["overlay", false, 0],
    ["copy", true, 2],
    ["copy", false, 0],
  ] as const)("give their tars (%s, blobs discarded: %s)", async ([driver, discardBlobs, splits], { skip }) => {
    skip(!usable.includes(driver), `${driver} cannot be used here`);
    const { context, image } = await pulled(driver, discardBlobs);
    expect(await keptSplits(context.store)).toBe(splits);
    await using tars = new HeldLayerTars(context);
    for (const { diffId, tar, descriptor } of image.layers) {
      expect((await context.store.content.stat(descriptor.digest)) === undefined).toBe(discardBlobs);
      await using opened = await tars.open(diffId);
      expect((await pieceOf(opened, 0, opened.size)).equals(tar)).toBe(true);
    }
  });
});
