/**
 * The parts of the EROFS on-disk format (Linux `fs/erofs/erofs_fs.h`) that an index needs: 512-byte blocks, directories and symbolic links
 * in the index itself, files as chunks of other devices. All numbers are little-endian. Writer and reader share this page.
 */
import type { IndexType } from "./tree.ts";

export const BLOCK = 512;
export const BLOCK_BITS = 9;

export const SUPERBLOCK_AT = 1024;
export const SUPERBLOCK_BYTES = 128;

/** Offsets in the superblock. */
export const SUPERBLOCK = {
  magic: 0x00,
  checksum: 0x04,
  compatible: 0x08,
  blockBits: 0x0c,
  root: 0x0e,
  inodes: 0x10,
  epoch: 0x18,
  blocks: 0x24,
  inodesBlock: 0x28,
  sharedXattrsBlock: 0x2c,
  uuid: 0x30,
  incompatible: 0x50,
  devices: 0x56,
  deviceTable: 0x58,
  directoryBlockBits: 0x5a,
} as const;

export const MAGIC = 0xe0f5e1e2;
export const UUID_BYTES = 16;

/** Features that a reader may ignore. */
export const COMPATIBLE = { checksum: 1, times: 2 } as const;
/** Features that a reader has to know. */
export const INCOMPATIBLE = { chunks: 4, devices: 8 } as const;

export const DEVICE_SLOT_BYTES = 128;
/** Offsets in a device slot, which begins with its tag. */
export const DEVICE_SLOT = { blocks: 0x40, start: 0x44 } as const;
export const TAG_BYTES = 64;
/** The root's inode comes right after the slots, and its number has 16 bits. */
export const MAX_DEVICES = 16_000;

/** Inodes begin at multiples of this; which multiple is the inode's number. */
export const INODE_SLOT = 32;
export const COMPACT_BYTES = 32;
export const EXTENDED_BYTES = 64;

/** Bits of an inode's format. */
export const EXTENDED = 1;
export const LAYOUT_SHIFT = 1;
/** How an inode's data lies: in whole blocks; with its end behind the inode; as chunks of devices. */
export const LAYOUT = { plain: 0, inline: 2, chunks: 4 } as const;

/** Offsets that both forms of an inode have. */
export const INODE = { format: 0x00, xattrs: 0x02, mode: 0x04, size: 0x08, data: 0x10, serial: 0x14 } as const;
/** Offsets in a compact inode; its time is the epoch, for kernels before 6.15 ignore any other. */
export const COMPACT = { links: 0x06, sinceEpoch: 0x0c, uid: 0x18, gid: 0x1a } as const;
/** Offsets in an extended inode. */
export const LONG = { uid: 0x18, gid: 0x1c, time: 0x20, links: 0x2c } as const;

/** A chunk has BLOCK << bits bytes. */
export const CHUNK_BITS_MASK = 0x1f;
export const MAX_CHUNK_BITS = 31;
/** The chunks are told by 8-byte entries with a device's number, not by 4-byte block numbers. */
export const CHUNK_INDEXES = 0x20;
export const CHUNK_ENTRY_BYTES = 8;
/** A block number that stands for none. */
export const NO_BLOCK = 0xffff_ffff;

export const DIRENT_BYTES = 12;
export const MAX_NAME_BYTES = 255;
/** The kernel takes a target from one page. */
export const MAX_TARGET_BYTES = 4095;
/** 16 TiB, as ext4; it bounds what a file of holes costs in the index. */
export const MAX_FILE_BYTES = 2 ** 44;

/** The type in `st_mode`, and in a directory's entry. */
export const TYPES: Readonly<Record<IndexType, { readonly mode: number; readonly entry: number }>> = {
  file: { mode: 0o100000, entry: 1 },
  directory: { mode: 0o040000, entry: 2 },
  char: { mode: 0o020000, entry: 3 },
  block: { mode: 0o060000, entry: 4 },
  fifo: { mode: 0o010000, entry: 5 },
  socket: { mode: 0o140000, entry: 6 },
  symlink: { mode: 0o120000, entry: 7 },
};

/** `value` rounded up to a multiple of `unit`. */
export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** How many bits a single chunk needs to hold a file of `size` bytes; 31 when even the largest is too small. */
export function chunkBits(size: number): number {
  let bits = 0;
  for (let bytes = BLOCK; bytes < size && bits < MAX_CHUNK_BITS; bytes *= 2) bits++;
  return bits;
}

/** How many chunks a file of `size` bytes has. */
export function chunkCount(size: number): number {
  return Math.ceil(size / (BLOCK * 2 ** chunkBits(size)));
}
