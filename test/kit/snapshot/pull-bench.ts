/** A store that unpacks with one driver, a registry behind a fault proxy, and pulls from it. */
import { onTestFinished } from "vitest";
import type { DriverName } from "../../../src/snapshot/types.ts";
import { pull, type PullOptions } from "../../../src/transfer/pull.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import type { Snapshotter } from "../../../src/transfer/snapshotter.ts";
import { openSnapshots } from "../../../src/transfer/snapshotter.ts";
import { startFaultProxy, type FaultProxy } from "../faults/fault-proxy.ts";
import type { FaultRule } from "../faults/fault-script.ts";
import type { KitImage } from "../images/build-image.ts";
import { pushImage } from "../images/push-image.ts";
import { startRegistry, type KitRegistry } from "../registry/registry.ts";
import { transferContext, type TestContext } from "../store/transfer-context.ts";

export interface PullBench {
  readonly context: TestContext & { readonly snapshotter: Snapshotter };
  readonly registry: KitRegistry;
  readonly proxy: FaultProxy;
  readonly pull: (tag: string, options?: PullOptions) => Promise<PullResult>;
  /** @returns its name */
  readonly push: (tag: string, image: KitImage) => Promise<string>;
}

/** Gone when the test that asked for it has finished. */
export async function pullBench(driver: DriverName, faults: readonly FaultRule[] = []): Promise<PullBench> {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const proxy = await startFaultProxy({ target: registry.host, rules: faults });
  onTestFinished(() => proxy.close());
  const kit = await transferContext();
  const snapshots = await openSnapshots(kit.store, driver, { sync: false });
  const context = { ...kit, snapshotter: { choice: driver, open: () => Promise.resolve({ snapshots }) } };
  return {
    context,
    registry,
    proxy,
    pull: (tag, options) => pull(context, `${proxy.host}/app:${tag}`, options),
    async push(tag, image) {
      await pushImage(registry.host, "app", tag, image);
      return `${proxy.host}/app:${tag}`;
    },
  };
}
