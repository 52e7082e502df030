/** Disks that are imported, with the index of their chunks, and pushed to a registry; and stores that pull them from there. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { importDisk } from "../../../src/transfer/disks/import-disk.ts";
import { pull, type PullOptions } from "../../../src/transfer/pull.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import { pushImage, type PushOptions } from "../../../src/transfer/push.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { RegistryQuirks } from "../registry/quirks.ts";
import { startRegistry, type KitRegistry } from "../registry/registry.ts";
import { transferContext, type TestContext } from "../store/transfer-context.ts";

export interface IndexedMachines {
  readonly registry: KitRegistry;
  readonly builder: TestContext;
  readonly name: (tag: string) => string;
  /** Imports a disk, and pushes it. */
  readonly publish: (tag: string, disk: Buffer, options?: PushOptions) => Promise<Digest>;
  readonly pull: (into: TestContext, tag: string, options?: PullOptions) => Promise<PullResult>;
}

/** @param chunkSize bytes of the disk in each chunk */
export async function indexedMachines(chunkSize: number, quirks: RegistryQuirks = {}): Promise<IndexedMachines> {
  const registry = await startRegistry({ quirks });
  onTestFinished(() => registry.close());
  const builder = await transferContext();
  const name = (tag: string): string => `${registry.host}/vm:${tag}`;
  return {
    registry,
    builder,
    name,
    async publish(tag, disk, options) {
      const path = join(builder.path, `${tag}.img`);
      await writeFile(path, disk);
      const { digest } = await importDisk(builder, path, name(tag), { chunkSize, sourceDateEpoch: 1_787_000_000 });
      await pushImage(builder, name(tag), options);
      return digest;
    },
    pull(into, tag, options) {
      registry.clearRequests();
      return pull(into, name(tag), options);
    },
  };
}
