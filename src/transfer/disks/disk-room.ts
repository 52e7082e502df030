/**
 * Room for the disks of a machine. What is zeros in them takes none, and nobody knows how much that is before it is decoded; so the estimate is one that
 * never refuses what would fit: whatever is not zeros is hardly ever larger compressed than as it is, so a disk takes at least the bytes of its blobs,
 * less what runs of zeros take there, which is less than a two-hundredth of them. What is here, or can be shared, counts for nothing.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import type { Wanted } from "../space.ts";
import { isNamed, unnamedBlobs } from "./get-unnamed.ts";
import { keptBlobs, type MachineDisk } from "./machine-parts.ts";

/** Of LZ4's blocks of 64 KiB, what one of nothing but zeros takes with its header, rounded up; gzip takes less. */
const SHARE_OF_ZEROS = 1 / 200;

/** @param disks each once */
export async function roomForMachine(
  store: Store,
  { name, manifest }: ResolvedImage,
  disks: readonly MachineDisk[],
): Promise<Wanted> {
  const blobs: Descriptor[] = [manifest.config, ...keptBlobs(manifest, disks)];
  const seen = new Set<Digest>();
  let diskBytes = 0;
  for (const disk of disks) {
    if ((await store.disks.stat(disk.key)) !== undefined) continue;
    blobs.push(...unnamedBlobs(disk));
    const least = isNamed(disk) ? await leastOfChunks(store, disk, seen) : 0;
    diskBytes += Math.max(0, least - ((await store.disks.partial(disk.key))?.allocatedBytes ?? 0));
  }
  return { name, blobs, diskBytes };
}

async function leastOfChunks(
  store: Store,
  { disk }: MachineDisk & { readonly disk: { readonly kind: "chunks" } },
  seen: Set<Digest>,
): Promise<number> {
  let bytes = 0;
  const held = await store.disks.findContents(disk.chunks.flatMap(({ digest }) => digest ?? []));
  for (const { blob, coding, digest, size } of disk.chunks) {
    // As they are they may be zeros to the last byte.
    if (digest === undefined || coding === "stored" || seen.has(digest)) continue;
    seen.add(digest);
    if (held.has(digest)) continue;
    bytes += Math.max(0, blob.size - Math.ceil(size * SHARE_OF_ZEROS));
  }
  return bytes;
}
