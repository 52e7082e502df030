/**
 * Disks of which the manifest does not say what their blobs hold: no recipe can make what nobody can tell. Their blobs are got into the store first,
 * verified and resumable as any; once they are decoded it is known what they hold, the disk is made of them, and they go again.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { TransferContext } from "../context.ts";
import { getLayers } from "../get-layers.ts";
import { discardBlob, neededByOthers, recordGivenUp } from "../given-up.ts";
import type { LayerTask } from "../present-layer.ts";
import type { LayerResult } from "../pull-result.ts";
import { isRecorded } from "../record-image.ts";
import type { ResolvedImage } from "../resolve-image.ts";
import { getDisks, type GetDisksOptions } from "./get-disks.ts";
import type { DiskRows } from "./disk-rows.ts";
import { blobsOf, type MachineDisk } from "./machine-parts.ts";
import { nameChunks } from "./name-chunks.ts";
import type { DiskTask } from "./open-disks.ts";
import { writeStream } from "./write-stream.ts";

export function isNamed(disk: MachineDisk): disk is DiskTask {
  return disk.disk.kind === "chunks" && disk.disk.chunks.every(({ digest }) => digest !== undefined);
}

/** The blobs that have to be here before it is known what the disk is made of, each once. */
export function unnamedBlobs({ disk }: MachineDisk): Descriptor[] {
  const blobs =
    disk.kind === "stream"
      ? disk.blobs
      : disk.chunks.flatMap(({ blob, digest }) => (digest === undefined ? [blob] : []));
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

/** @returns bytes that an earlier try had left */
export async function getUnnamed(
  context: TransferContext,
  image: ResolvedImage,
  { key, disk }: MachineDisk,
  options: GetDisksOptions,
): Promise<number> {
  const { store } = context;
  const { signal, lease, rows, wait } = options;
  const { reference } = image;
  const blobs = unnamedBlobs({ key, disk });
  const wanted = await wantedBlobs(store, image, blobs);
  const tasks = blobs.map((blob): LayerTask => ({ reference, blob, diffId: undefined }));
  const got = await getLayers(context, image, tasks, { ...options, check: false });
  let resumed = got.resumedBytes;
  const diffIds = new Map<Digest, Digest>();
  if (disk.kind === "stream") {
    resumed += await writeStream(context, disk, { key, wait, anew: options.anew, signal });
    for (const blob of disk.blobs) diffIds.set(blob.digest, key);
  } else {
    const named = await nameChunks(store, disk, signal);
    for (const { blob, digest } of named.chunks) diffIds.set(blob.digest, digest!);
    resumed += await getDisks(context, [{ key, disk: named }], options);
  }
  tellFetched({ key, disk }, got.layers, rows, diffIds);
  for (const blob of blobs) {
    if (wanted.has(blob.digest)) continue;
    await recordGivenUp(store, blob, { diffId: diffIds.get(blob.digest) ?? key, size: blob.size, entries: 0 });
    await discardBlob(context, blob, lease);
  }
  return resumed;
}

/** Those that are here for somebody else's sake, and not because an earlier try of this pull has left them. */
async function wantedBlobs(store: Store, image: ResolvedImage, blobs: readonly Descriptor[]): Promise<Set<Digest>> {
  const others = (await isRecorded(store, image)) ? undefined : await neededByOthers(store, image.manifest.digest);
  const wanted = new Set<Digest>();
  for (const { digest } of blobs) {
    const isNeeded = others === undefined || others.has(digest);
    if (isNeeded && (await store.content.stat(digest)) !== undefined) wanted.add(digest);
  }
  return wanted;
}

/**
 * What came over the network is what the chunk cost, whatever was then made of it here. Where a blob occurs again it cost nothing.
 * @param fetched rows of the disk's blobs
 * @param diffIds of what these hold, where it is known
 */
export function tellFetched(
  disk: MachineDisk,
  fetched: readonly LayerResult[],
  rows: DiskRows,
  diffIds: ReadonlyMap<Digest, Digest> = new Map(),
): void {
  const first = new Map(
    blobsOf(disk)
      .toReversed()
      .map((blob) => [blob.digest, blob]),
  );
  for (const { digest, how, bytes, requests, fallbacks, why } of fetched) {
    const blob = first.get(digest);
    if (blob === undefined || how === "present") continue;
    const facts = { how: "disk", bytes, requests, fallbacks, ...(why !== undefined && { why }) } as const;
    rows.set(blob, facts, diffIds.get(digest));
  }
}
