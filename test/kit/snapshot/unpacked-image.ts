/** An image in a test's store, unpacked into the snapshots of the copy driver: they can be written to without mounting anything. */
import { join } from "node:path";
import { copyImage } from "../../../src/transfer/copy.ts";
import { chainIds } from "../../../src/oci/chain-id.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import { CopyDriver } from "../../../src/snapshot/copy/driver.ts";
import { Snapshots } from "../../../src/snapshot/service.ts";
import type { Driver } from "../../../src/snapshot/types.ts";
import { buildImage, type ImageOptions, type KitImage } from "../images/build-image.ts";
import { writeOciLayout } from "../images/oci-layout.ts";
import { transferContext, type TestContext } from "../store/transfer-context.ts";
import { bindTars } from "./bind-tars.ts";

export interface SnapshotContext extends TestContext {
  readonly snapshots: Snapshots;
  /** Puts an image into the store and unpacks it. @returns its topmost ChainID */
  addImage(name: string, options: ImageOptions): Promise<{ image: KitImage; top: Digest }>;
  /** A new active snapshot of the copy driver. @returns the directory that it is */
  prepare(key: string, parent?: string, labels?: Readonly<Record<string, string>>): Promise<string>;
}

/** @param open the driver. Default: the copy driver */
export async function snapshotContext(open?: (context: TestContext) => Promise<Driver>): Promise<SnapshotContext> {
  const context = await transferContext();
  const driver = open === undefined ? new CopyDriver(context.store) : await open(context);
  const snapshots = new Snapshots({ store: context.store, driver, sync: false });
  const bound = new Set<string>();
  return {
    ...context,
    snapshots,
    async addImage(name, options) {
      const image = await buildImage(options);
      const layout = join(context.path, `layout-${image.digest.slice(7, 19)}`);
      await writeOciLayout(layout, image);
      await copyImage(context, `oci:${layout}`, name);
      const diffIds = image.layers.map(({ diffId }) => diffId);
      const chain = chainIds(diffIds);
      const there = chain.findLastIndex((chainId) => bound.has(chainId)) + 1;
      const tars = image.layers.slice(there).map(({ tar }) => tar);
      if (tars.length > 0) await bindTars(snapshots, tars, { on: diffIds.slice(0, there) });
      for (const chainId of chain) bound.add(chainId);
      return { image, top: chain.at(-1)! };
    },
    async prepare(key, parent, labels = {}) {
      const [mount] = await snapshots.prepare(key, parent, { labels });
      return mount!.source;
    },
  };
}
