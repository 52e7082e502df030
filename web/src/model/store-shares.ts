/** What the store's space is taken by, so that the parts come to the whole. */
import type { DiskUsage } from "../api/types.ts";

export interface StoreShare {
  readonly name: string;
  readonly bytes: number;
  /** The colour it is drawn in. */
  readonly sediment: number;
}

export function storeShares({
  blobs,
  unreferenced,
  ingests,
  disks,
  partialDisks,
  snapshots,
  layers,
}: DiskUsage): StoreShare[] {
  const shares: StoreShare[] = [
    { name: "blobs of images", bytes: Math.max(0, blobs.bytes - unreferenced.bytes), sediment: 0 },
    { name: "snapshots", bytes: snapshots.bytes, sediment: 1 },
    { name: "unpacked layers", bytes: layers.bytes, sediment: 4 },
    { name: "machines' disks", bytes: disks.bytes, sediment: 5 },
    { name: "blobs that no image needs", bytes: unreferenced.bytes, sediment: 3 },
    { name: "partial", bytes: ingests.bytes + partialDisks.bytes, sediment: 2 },
  ];
  return shares.filter(({ bytes }) => bytes > 0);
}
