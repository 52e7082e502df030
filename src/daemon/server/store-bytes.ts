/** What the store takes on disk, as `/metrics` shows it. */
import { diskUsage } from "../../transfer/disk-usage.ts";
import type { Daemon } from "../daemon.ts";
import type { StoreBytes } from "../metrics/prometheus.ts";

export async function storeBytes(context: Daemon["context"], signal: AbortSignal): Promise<StoreBytes> {
  const usage = await diskUsage(await context({ signal, onProgress: () => undefined }));
  return {
    blobs: usage.blobs.bytes,
    unreferenced: usage.unreferenced.bytes,
    ingests: usage.ingests.bytes,
    disks: usage.disks.bytes,
    partialDisks: usage.partialDisks.bytes,
    snapshots: usage.snapshots.bytes,
    layers: usage.layers.bytes,
    total: usage.totalBytes,
  };
}
