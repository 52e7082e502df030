/** One inode with what stands right behind it: extended attributes, then the entries of its chunks. */
import {
  BLOCK,
  CHUNK_ENTRY_BYTES,
  CHUNK_INDEXES,
  COMPACT,
  COMPACT_BYTES,
  EXTENDED,
  EXTENDED_BYTES,
  INODE,
  LAYOUT,
  LAYOUT_SHIFT,
  LONG,
  NO_BLOCK,
  TYPES,
  chunkBits,
  chunkCount,
  roundUp,
} from "./format.ts";
import type { Piece } from "./pieces.ts";
import { writeTime } from "./time.ts";
import type { IndexNode } from "./tree.ts";
import { storedXattrs, writeXattrs, xattrCount } from "./xattrs.ts";

export interface InodeFacts {
  /** Bytes from the start of `piece`. */
  readonly at: number;
  readonly format: number;
  readonly links: number;
  /** Bytes of its data. */
  readonly size: number;
  /** Bytes of its extended attributes. */
  readonly xattrs: number;
  /** The first block of a directory's or a symbolic link's data, or NO_BLOCK. */
  readonly block: number;
  /** Counts from 1, in the order that inodes are written in. */
  readonly serial: number;
}

/** Writes into zeros. Returns where data may follow that is kept behind the inode. */
export function writeInode({ bytes, view }: Piece, node: IndexNode, facts: InodeFacts): number {
  const { at, format, size } = facts;
  const isExtended = (format & EXTENDED) !== 0;
  view.setUint16(at + INODE.format, format, true);
  view.setUint16(at + INODE.xattrs, xattrCount(facts.xattrs), true);
  view.setUint16(at + INODE.mode, TYPES[node.type].mode | node.mode, true);
  view.setUint32(at + INODE.size, size % 2 ** 32, true);
  view.setUint32(at + INODE.data, dataField(node, facts), true);
  view.setUint32(at + INODE.serial, facts.serial, true);
  if (isExtended) writeLong(view, at, node, facts);
  else writeCompact(view, at, node, facts);
  const behind = at + (isExtended ? EXTENDED_BYTES : COMPACT_BYTES);
  if (facts.xattrs > 0 && node.xattrs !== undefined) writeXattrs(bytes, view, behind, storedXattrs(node.xattrs));
  const end = behind + facts.xattrs;
  if (format >> LAYOUT_SHIFT === LAYOUT.chunks) writeChunks(view, roundUp(end, CHUNK_ENTRY_BYTES), node);
  return end;
}

function writeCompact(view: DataView, at: number, { uid, gid }: IndexNode, { links }: InodeFacts): void {
  view.setUint16(at + COMPACT.links, links, true);
  view.setUint16(at + COMPACT.uid, uid, true);
  view.setUint16(at + COMPACT.gid, gid, true);
}

function writeLong(view: DataView, at: number, { uid, gid, modifiedAt }: IndexNode, { links, size }: InodeFacts): void {
  view.setUint32(at + INODE.size + 4, Math.floor(size / 2 ** 32), true);
  view.setUint32(at + LONG.uid, uid, true);
  view.setUint32(at + LONG.gid, gid, true);
  writeTime(view, at + LONG.time, modifiedAt);
  view.setUint32(at + LONG.links, links, true);
}

function dataField(node: IndexNode, { format, block }: InodeFacts): number {
  switch (node.type) {
    case "file":
      return format >> LAYOUT_SHIFT === LAYOUT.chunks ? CHUNK_INDEXES | chunkBits(node.size) : 0;
    case "directory":
    case "symlink":
      return block;
    case "char":
    case "block":
      return encodeDevice(node.deviceMajor, node.deviceMinor);
    case "fifo":
    case "socket":
      return 0;
  }
}

/** Linux' `new_encode_dev`. */
function encodeDevice(major: number, minor: number): number {
  return ((minor & 0xff) | (major << 8) | ((minor & ~0xff) << 12)) >>> 0;
}

/** A file is one run on its device, so its chunks follow each other there. */
function writeChunks(view: DataView, at: number, { size, place }: IndexNode): void {
  const step = 2 ** chunkBits(size);
  const count = chunkCount(size);
  for (let index = 0; index < count; index++) {
    const block = place === undefined ? NO_BLOCK : place.offset / BLOCK + index * step;
    view.setUint16(at + index * CHUNK_ENTRY_BYTES + 2, place === undefined ? 0 : place.device + 1, true);
    view.setUint32(at + index * CHUNK_ENTRY_BYTES + 4, block, true);
  }
}
