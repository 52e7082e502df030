/** What an image says of a disk, in numbers, and what of it is in the store. */
import type { ChunkedDisk, DiskImage, StreamedDisk } from "../../codec/tart/disk-image.ts";
import { diskKey } from "../../codec/tart/disk-key.ts";
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";

export interface DiskSummary {
  readonly name: string;
  /** By which stores know it, whoever made the image. */
  readonly key: Digest;
  /** Bytes that it is long; null of a stream, which only decoding tells. */
  readonly logicalBytes: number | null;
  readonly chunks: number;
  /** Bytes of the disk in the smallest and the largest chunk; null of a stream. */
  readonly chunkBytes: { readonly least: number; readonly most: number } | null;
  /** Chunks of nothing but zeros, which are never fetched. */
  readonly zeroChunks: number;
  /** Of all blobs, each once. */
  readonly compressedBytes: number;
}

export interface HeldSummary {
  /** As a whole file, as all of its blobs, in part as an unfinished pull left it, or not: then the registry has it. */
  readonly held: "disk" | "blobs" | "part" | null;
  /** Of the whole file in the store. */
  readonly path: string | null;
  /** What the file takes there, whole or in part. */
  readonly allocatedBytes: number | null;
}

/** @throws the signal's reason */
export async function summarize(
  disk: ChunkedDisk | StreamedDisk,
  options: { readonly signal?: AbortSignal } = {},
): Promise<DiskSummary> {
  const known = { name: disk.name, key: diskKey(disk) };
  if (disk.kind === "stream") {
    const compressedBytes = bytesOf(disk.blobs);
    const { length: chunks } = disk.blobs;
    return { ...known, logicalBytes: null, chunks, chunkBytes: null, zeroChunks: 0, compressedBytes };
  }
  const zeros = await zeroContents(disk.chunks, options);
  const sizes = disk.chunks.map(({ size }) => size);
  const extreme = (of: (a: number, b: number) => number): number => sizes.reduce((a, b) => of(a, b), sizes[0] ?? 0);
  return {
    ...known,
    logicalBytes: disk.size,
    chunks: disk.chunks.length,
    chunkBytes: { least: extreme(Math.min), most: extreme(Math.max) },
    zeroChunks: disk.chunks.filter(({ digest }) => digest !== undefined && zeros.has(digest)).length,
    compressedBytes: bytesOf(disk.chunks.map(({ blob }) => blob)),
  };
}

export async function heldSummary(store: Store, disk: DiskImage["disks"][number]): Promise<HeldSummary> {
  const key = diskKey(disk);
  const file = await store.disks.stat(key);
  if (file !== undefined) return { held: "disk", path: file.path, allocatedBytes: file.allocatedBytes };
  if (await holdsBlobs(store, disk)) return { held: "blobs", path: null, allocatedBytes: null };
  const part = await store.disks.partial(key);
  return { held: part === undefined ? null : "part", path: null, allocatedBytes: part?.allocatedBytes ?? null };
}

/** Whether all blobs of its chunks are in the store. */
export async function holdsBlobs({ content }: Store, disk: DiskImage["disks"][number]): Promise<boolean> {
  const blobs = disk.kind === "stream" ? disk.blobs : disk.chunks.map(({ blob }) => blob);
  for (const blob of blobs) if (!(await content.holds(blob))) return false;
  return true;
}

function bytesOf(blobs: readonly { readonly digest: Digest; readonly size: number }[]): number {
  const distinct = new Map(blobs.map(({ digest, size }) => [digest, size]));
  return distinct.values().reduce((sum, size) => sum + size, 0);
}
