/** A virtual machine's image in a store, as a pull or an import leaves it. */
import { mkdir, open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { diskKey } from "../../../src/codec/tart/disk-key.ts";
import { readDiskImage } from "../../../src/codec/tart/read-disk-image.ts";
import { digestHex, type Digest } from "../../../src/oci/digest.ts";
import type { ImageEntry } from "../../../src/store/images.ts";
import type { Store } from "../../../src/store/store.ts";
import type { TartImage } from "./tart-image.ts";

export interface PutTartImage {
  /** Whether the disk is in the store. Default true. */
  readonly disk?: boolean;
  /** Whether the blobs of the chunks are. Default false, as after a pull. */
  readonly chunks?: boolean;
}

export interface PutMachine {
  readonly entry: ImageEntry;
  readonly key: Digest;
  /** Of the disk in the store, whether it is there or not. */
  readonly path: string;
}

/** Only of images with one disk. */
export async function putTartImage(
  store: Store,
  name: string,
  made: TartImage,
  { disk = true, chunks = false }: PutTartImage = {},
): Promise<PutMachine> {
  const { manifest, blobs } = made;
  const [only] = readDiskImage(manifest)!.disks;
  const ofChunks = new Set(only?.kind === "chunks" ? only.chunks.map(({ blob }) => blob.digest) : []);
  for (const [digest, bytes] of blobs) {
    if (chunks || !ofChunks.has(digest)) await store.content.writeBytes(digest, bytes);
  }
  await store.content.writeBytes(manifest.digest, manifest.bytes);
  const key = diskKey(only!);
  const path = join(store.root, "disks", "sha256", digestHex(key));
  if (disk) await writeDisk(path, made.disk);
  const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
  const entry = { name, descriptor, manifest: descriptor, configDigest: manifest.config.digest };
  await store.images.put(entry);
  return { entry, key, path };
}

const BLOCK = 64 << 10;

/** Blocks of zeros are holes. */
async function writeDisk(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await using file = await open(path, "w", 0o444);
  await file.truncate(bytes.length);
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    if (!block.equals(Buffer.alloc(block.length))) await file.write(block, 0, block.length, at);
  }
}
