/** A virtual machine's image in a store, as a pull or an import leaves it. */
import { open } from "node:fs/promises";
import type { ChunkedDisk, StreamedDisk } from "../../../src/codec/tart/disk-image.ts";
import { diskKey } from "../../../src/codec/tart/disk-key.ts";
import { readDiskImage } from "../../../src/codec/tart/read-disk-image.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { ImageEntry } from "../../../src/store/images.ts";
import type { Store } from "../../../src/store/store.ts";
import type { MadeMachine } from "./stub-machines.ts";
import type { TartImage } from "./tart-image.ts";

export interface PutTartImage {
  /** Whether the disk is in the store. Default true. */
  readonly disk?: boolean;
  /** Whether the blobs of the chunks are. Default false, as after a pull. */
  readonly chunks?: boolean;
}

export interface PutMachine {
  readonly entry: ImageEntry;
  /** Of its first disk. */
  readonly key: Digest;
  /** Of its first disk in the store, whether it is there or not. */
  readonly path: string;
}

export function putTartImage(
  store: Store,
  name: string,
  { manifest, blobs, disk }: TartImage,
  options?: PutTartImage,
): Promise<PutMachine> {
  return putMachine(store, name, { manifest, blobs, disks: new Map([["disk.img", disk]]) }, options);
}

export async function putMachine(
  store: Store,
  name: string,
  { manifest, blobs, disks: contents }: MadeMachine,
  { disk = true, chunks = false }: PutTartImage = {},
): Promise<PutMachine> {
  const { disks } = readDiskImage(manifest)!;
  const ofChunks = new Set(
    disks.flatMap((one) => (one.kind === "chunks" ? one.chunks : [])).map(({ blob }) => blob.digest),
  );
  for (const [digest, bytes] of blobs) {
    if (chunks || !ofChunks.has(digest)) await store.content.writeBytes(digest, bytes);
  }
  await store.content.writeBytes(manifest.digest, manifest.bytes);
  if (disk) for (const one of disks) await putDisk(store, one, contents.get(one.name)!);
  const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
  const entry = { name, descriptor, manifest: descriptor, configDigest: manifest.config.digest };
  await store.images.put(entry);
  const key = diskKey(disks[0]!);
  return { entry, key, path: store.disks.pathOf(key) };
}

const BLOCK = 64 << 10;

async function putDisk(store: Store, disk: ChunkedDisk | StreamedDisk, bytes: Buffer): Promise<void> {
  if (disk.kind === "stream") throw new Error("of a stream nobody knows the contents");
  await using staged = await store.disks.stage();
  await writeDisk(staged.path, bytes);
  const contents = disk.chunks.flatMap(({ offset, size }) => {
    const content = bytes.subarray(offset, offset + size);
    return isZero(content) ? [] : [{ digest: digestOf(content), offset, size }];
  });
  await staged.publish(diskKey(disk), contents);
}

/** Blocks of zeros are holes. */
async function writeDisk(path: string, bytes: Buffer): Promise<void> {
  await using file = await open(path, "wx", 0o600);
  await file.truncate(bytes.length);
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    if (!isZero(block)) await file.write(block, 0, block.length, at);
  }
}

function isZero(bytes: Buffer): boolean {
  return bytes.equals(Buffer.alloc(bytes.length));
}
