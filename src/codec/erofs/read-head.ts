/** The superblock and the device table, as far as a tree depends on them. */
import { decodeName } from "../../sys/path-bytes.ts";
import type { TarTime } from "../tar/entry.ts";
import { superblockChecksum } from "./checksum.ts";
import { damaged } from "./fault.ts";
import {
  BLOCK,
  BLOCK_BITS,
  COMPATIBLE,
  DEVICE_SLOT,
  DEVICE_SLOT_BYTES,
  INCOMPATIBLE,
  MAGIC,
  SUPERBLOCK,
  SUPERBLOCK_AT,
  TAG_BYTES,
} from "./format.ts";
import { readTime } from "./time.ts";
import type { IndexBytes } from "./source.ts";
import type { IndexDevice } from "./tree.ts";

export interface IndexHead {
  /** The time of compact inodes. */
  readonly epoch: TarTime;
  /** The root's number. */
  readonly root: number;
  /** Where inode 0 would be. */
  readonly inodesAt: number;
  /** Where attribute 0 that several inodes share would be. */
  readonly sharedXattrsAt: number;
  readonly devices: readonly IndexDevice[];
}

/** @throws INDEX_INVALID */
export function readHead(index: IndexBytes): IndexHead {
  const at = index.seek(SUPERBLOCK_AT, BLOCK);
  const { bytes, view } = index;
  if (view.getUint32(at + SUPERBLOCK.magic, true) !== MAGIC) throw damaged("it is no EROFS image", SUPERBLOCK_AT);
  if ((view.getUint32(at + SUPERBLOCK.compatible, true) & COMPATIBLE.checksum) !== 0) checkSum(bytes, view, at);
  const unknown = view.getUint32(at + SUPERBLOCK.incompatible, true) & ~(INCOMPATIBLE.chunks | INCOMPATIBLE.devices);
  if (unknown !== 0)
    throw damaged(`it has unknown features (${unknown >>> 0})`, SUPERBLOCK_AT + SUPERBLOCK.incompatible);
  if (bytes[at + SUPERBLOCK.blockBits] !== BLOCK_BITS || bytes[at + SUPERBLOCK.directoryBlockBits] !== 0) {
    throw damaged(`its blocks are not of ${BLOCK} bytes`, SUPERBLOCK_AT + SUPERBLOCK.blockBits);
  }
  return {
    epoch: readTime(view, at + SUPERBLOCK.epoch, SUPERBLOCK_AT + SUPERBLOCK.epoch),
    root: view.getUint16(at + SUPERBLOCK.root, true),
    inodesAt: view.getUint32(at + SUPERBLOCK.inodesBlock, true) * BLOCK,
    sharedXattrsAt: view.getUint32(at + SUPERBLOCK.sharedXattrsBlock, true) * BLOCK,
    devices: readDevices(index, {
      count: view.getUint16(at + SUPERBLOCK.devices, true),
      position: view.getUint16(at + SUPERBLOCK.deviceTable, true) * DEVICE_SLOT_BYTES,
    }),
  };
}

function checkSum(bytes: Uint8Array, view: DataView, at: number): void {
  const sum = superblockChecksum(bytes.subarray(at, at + BLOCK), SUPERBLOCK.checksum);
  if (view.getUint32(at + SUPERBLOCK.checksum, true) === sum) return;
  throw damaged("its checksum is wrong", SUPERBLOCK_AT + SUPERBLOCK.checksum);
}

function readDevices(
  index: IndexBytes,
  { count, position }: { readonly count: number; readonly position: number },
): IndexDevice[] {
  return Array.from({ length: count }, (_, number) => {
    const at = index.seek(position + number * DEVICE_SLOT_BYTES, DEVICE_SLOT_BYTES);
    const tag = index.bytes.subarray(at, at + TAG_BYTES);
    const end = tag.indexOf(0);
    return {
      size: index.view.getUint32(at + DEVICE_SLOT.blocks, true) * BLOCK,
      tag: decodeName(end < 0 ? tag : tag.subarray(0, end)),
    };
  });
}
