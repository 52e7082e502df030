/** A virtual machine's image in a store, as a pull or an import leaves it. */
import { mkdir, open, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { diskKey } from "../../../src/codec/tart/disk-key.ts";
import { readDiskImage } from "../../../src/codec/tart/read-disk-image.ts";
import { digestHex, type Digest } from "../../../src/oci/digest.ts";
import type { ImageEntry } from "../../../src/store/images.ts";
import type { Store } from "../../../src/store/store.ts";
import type { MadeMachine } from "./other-machines.ts";
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
  const pathOf = (one: (typeof disks)[number]): string => join(store.root, "disks", "sha256", digestHex(diskKey(one)));
  if (disk) for (const one of disks) await writeDisk(pathOf(one), contents.get(one.name)!);
  const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
  const entry = { name, descriptor, manifest: descriptor, configDigest: manifest.config.digest };
  await store.images.put(entry);
  return { entry, key: diskKey(disks[0]!), path: pathOf(disks[0]!) };
}

const BLOCK = 64 << 10;

/** Blocks of zeros are holes. */
async function writeDisk(path: string, bytes: Buffer): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  await using file = await open(path, "w", 0o444);
  await file.truncate(bytes.length);
  for (let at = 0; at < bytes.length; at += BLOCK) {
    const block = bytes.subarray(at, at + BLOCK);
    if (!block.equals(Buffer.alloc(block.length))) await file.write(block, 0, block.length, at);
  }
}
