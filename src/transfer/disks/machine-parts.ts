/** What a machine's image is made of, for whoever gets it: blobs that are kept as any image's, and disks, each once, with what is here of them. */
import type { ChunkedDisk, DiskImage, StreamedDisk } from "../../codec/tart/disk-image.ts";
import { diskKey } from "../../codec/tart/disk-key.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { DiskInfo } from "../../store/disks/types.ts";
import type { Store } from "../../store/store.ts";
import type { DiskResult } from "../pull-result.ts";

export interface MachineDisk {
  readonly key: Digest;
  readonly disk: ChunkedDisk | StreamedDisk;
}

/** The blobs of a disk, in its order; one that occurs again is there again. */
export function blobsOf({ disk }: MachineDisk): readonly Descriptor[] {
  return disk.kind === "stream" ? disk.blobs : disk.chunks.map(({ blob }) => blob);
}

/** All disks of the image, in its order. */
export function disksOf({ disks }: DiskImage): MachineDisk[] {
  return disks.map((disk) => ({ key: diskKey(disk), disk }));
}

/** Each disk once, however often the image has it. */
export function distinctDisks(disks: readonly MachineDisk[]): MachineDisk[] {
  return [...new Map(disks.toReversed().map((disk) => [disk.key, disk])).values()].toReversed();
}

/** The layers that are no part of a disk: configuration, NVRAM, kernel. */
export function keptBlobs({ layers }: Manifest, disks: readonly MachineDisk[]): Descriptor[] {
  const parts = new Set(disks.flatMap(blobsOf));
  const kept = layers.filter((layer) => !parts.has(layer));
  return [...new Map(kept.map((blob) => [blob.digest, blob])).values()];
}

/**
 * Of the store, by key. One of another size than its image says was damaged, and is made anew.
 * @param options.leased whether the caller has leased their keys, and relies on their staying: then none is among them that is being removed. Default
 * false
 */
export async function heldDisks(
  { disks }: Store,
  wanted: readonly MachineDisk[],
  { leased = false }: { readonly leased?: boolean } = {},
): Promise<Map<Digest, DiskInfo>> {
  const held = new Map<Digest, DiskInfo>();
  for (const { key, disk } of wanted) {
    const info = await disks.stat(key);
    if (info === undefined || (disk.kind === "chunks" && info.size !== disk.size)) continue;
    if (!leased || (await disks.holds(info))) held.set(key, info);
  }
  return held;
}

/** @param costOf what was moved for a disk */
export function diskResults(
  disks: readonly MachineDisk[],
  held: ReadonlyMap<Digest, DiskInfo>,
  costOf: (disk: MachineDisk) => Pick<DiskResult, "bytes" | "requests">,
): DiskResult[] {
  return disks.map(({ key, disk }) => {
    const {
      size = disk.kind === "chunks" ? disk.size : null,
      allocatedBytes = null,
      path = null,
    } = held.get(key) ?? {};
    return { name: disk.name, key, size, allocatedBytes, path, ...costOf({ key, disk }) };
  });
}
