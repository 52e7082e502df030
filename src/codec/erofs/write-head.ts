/** The superblock and the device table behind it, which stand before everything else. */
import { encodeName, nameLength } from "../../sys/path-bytes.ts";
import type { TarTime } from "../tar/entry.ts";
import { superblockChecksum } from "./checksum.ts";
import { badTree, quoted, unfit } from "./fault.ts";
import {
  BLOCK,
  BLOCK_BITS,
  COMPATIBLE,
  DEVICE_SLOT,
  DEVICE_SLOT_BYTES,
  INCOMPATIBLE,
  INODE_SLOT,
  MAGIC,
  MAX_DEVICES,
  SUPERBLOCK,
  SUPERBLOCK_AT,
  SUPERBLOCK_BYTES,
  TAG_BYTES,
  UUID_BYTES,
} from "./format.ts";
import type { Piece } from "./pieces.ts";
import { writeTime } from "./time.ts";
import type { IndexDevice } from "./tree.ts";

const DEVICE_TABLE_AT = SUPERBLOCK_AT + SUPERBLOCK_BYTES;

export interface HeadFacts {
  readonly uuid: Uint8Array;
  readonly epoch: TarTime;
  readonly inodes: number;
  readonly blocks: number;
  /** Where the root's inode is. */
  readonly root: number;
  readonly devices: readonly IndexDevice[];
}

/** How many bytes stand before the first inode. @throws INDEX_INVALID, LAYER_LIMIT */
export function headBytes(devices: readonly IndexDevice[]): number {
  if (devices.length > MAX_DEVICES) throw unfit(`it has ${devices.length} devices, and ${MAX_DEVICES} are the most`);
  for (const { size, tag } of devices) {
    if (!Number.isSafeInteger(size) || size < 0) throw badTree(`a device has ${size} bytes`);
    if (nameLength(tag) > TAG_BYTES || tag.includes("\0")) throw badTree(`${quoted(tag)} is no tag of a device`);
  }
  return DEVICE_TABLE_AT + devices.length * DEVICE_SLOT_BYTES;
}

/** Writes into the first piece, which is zeros there. The checksum is for `sealHead`. */
export function writeHead({ bytes, view }: Piece, facts: HeadFacts): void {
  const at = SUPERBLOCK_AT;
  view.setUint32(at + SUPERBLOCK.magic, MAGIC, true);
  view.setUint32(at + SUPERBLOCK.compatible, COMPATIBLE.checksum | COMPATIBLE.times, true);
  bytes[at + SUPERBLOCK.blockBits] = BLOCK_BITS;
  view.setUint16(at + SUPERBLOCK.root, facts.root / INODE_SLOT, true);
  view.setUint32(at + SUPERBLOCK.inodes, facts.inodes, true);
  writeTime(view, at + SUPERBLOCK.epoch, facts.epoch);
  view.setUint32(at + SUPERBLOCK.blocks, facts.blocks, true);
  bytes.set(facts.uuid.subarray(0, UUID_BYTES), at + SUPERBLOCK.uuid);
  view.setUint32(at + SUPERBLOCK.incompatible, INCOMPATIBLE.chunks | INCOMPATIBLE.devices, true);
  view.setUint16(at + SUPERBLOCK.devices, facts.devices.length, true);
  view.setUint16(at + SUPERBLOCK.deviceTable, DEVICE_TABLE_AT / DEVICE_SLOT_BYTES, true);
  writeDevices(bytes, view, facts);
}

/**
 * Each device's start in the one row of blocks that all make together, where files are looked for that name no device. Ours do, so that a
 * device that does not fit into the row's 32 bits, or is longer than they can tell, is none the worse.
 */
function writeDevices(bytes: Uint8Array, view: DataView, { devices, blocks }: HeadFacts): void {
  let start = blocks;
  for (const [index, { size, tag }] of devices.entries()) {
    const slot = DEVICE_TABLE_AT + index * DEVICE_SLOT_BYTES;
    const length = Math.ceil(size / BLOCK);
    bytes.set(encodeName(tag), slot);
    view.setUint32(slot + DEVICE_SLOT.blocks, Math.min(length, 0xffff_ffff), true);
    view.setUint32(slot + DEVICE_SLOT.start, start + length < 2 ** 32 ? start : 0, true);
    start += length;
  }
}

/** The superblock's checksum, which spans whatever else lies in the same 512 bytes: when all of them are written. */
export function sealHead({ bytes, view }: Piece): void {
  const block = bytes.subarray(SUPERBLOCK_AT, SUPERBLOCK_AT + BLOCK);
  view.setUint32(SUPERBLOCK_AT + SUPERBLOCK.checksum, superblockChecksum(block, SUPERBLOCK.checksum), true);
}
