/** One inode as it lies in the index, and where its data is. */
import type { TarTime } from "../tar/entry.ts";
import { damaged } from "./fault.ts";
import {
  BLOCK,
  CHUNK_BITS_MASK,
  CHUNK_ENTRY_BYTES,
  CHUNK_INDEXES,
  COMPACT,
  COMPACT_BYTES,
  EXTENDED,
  EXTENDED_BYTES,
  INODE,
  INODE_SLOT,
  LAYOUT,
  LAYOUT_SHIFT,
  LONG,
  MAX_FILE_BYTES,
  NO_BLOCK,
  TYPES,
  roundUp,
} from "./format.ts";
import type { IndexHead } from "./read-head.ts";
import type { IndexBytes } from "./source.ts";
import { readTime } from "./time.ts";
import type { IndexPlace, IndexType } from "./tree.ts";
import { xattrRegionBytes } from "./xattrs.ts";

export interface RawInode {
  readonly position: number;
  readonly type: IndexType;
  /** Permission bits. */
  readonly mode: number;
  readonly links: number;
  readonly size: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedAt: TarTime;
  readonly layout: number;
  /** `i_u`: a block, a device's number, or how chunks are told. */
  readonly data: number;
  /** Where its extended attributes are, and how many bytes they have. */
  readonly xattrsAt: number;
  readonly xattrBytes: number;
  /** Where its chunks or the end of its data may follow. */
  readonly end: number;
}

/** By the upper four bits of `st_mode`. */
const TYPE_BY_MODE: readonly (IndexType | undefined)[] = Array.from({ length: 16 }, (_, bits) =>
  (Object.keys(TYPES) as IndexType[]).find((type) => TYPES[type].mode === bits << 12),
);

/** @throws INDEX_INVALID */
export function readInode(index: IndexBytes, head: IndexHead, number: number): RawInode {
  const position = head.inodesAt + number * INODE_SLOT;
  let at = index.seek(position, COMPACT_BYTES);
  const format = index.view.getUint16(at + INODE.format, true);
  const isExtended = (format & EXTENDED) !== 0;
  if (isExtended) at = index.seek(position, EXTENDED_BYTES);
  const { view } = index;
  const mode = view.getUint16(at + INODE.mode, true);
  const type = TYPE_BY_MODE[mode >>> 12];
  if (type === undefined) throw damaged("an inode has no type", position);
  const layout = format >>> LAYOUT_SHIFT;
  checkLayout(type, layout, position);
  const xattrsAt = position + (isExtended ? EXTENDED_BYTES : COMPACT_BYTES);
  const xattrBytes = xattrRegionBytes(view.getUint16(at + INODE.xattrs, true));
  return {
    position,
    type,
    mode: mode & 0o7777,
    links: isExtended ? view.getUint32(at + LONG.links, true) : view.getUint16(at + COMPACT.links, true),
    size: readSize(view, at + INODE.size, isExtended, position),
    uid: isExtended ? view.getUint32(at + LONG.uid, true) : view.getUint16(at + COMPACT.uid, true),
    gid: isExtended ? view.getUint32(at + LONG.gid, true) : view.getUint16(at + COMPACT.gid, true),
    modifiedAt: isExtended ? readTime(view, at + LONG.time, position) : compactTime(view, at, head.epoch),
    layout,
    data: view.getUint32(at + INODE.data, true),
    xattrsAt,
    xattrBytes,
    end: xattrsAt + xattrBytes,
  };
}

function checkLayout(type: IndexType, layout: number, position: number): void {
  const isInline = layout === LAYOUT.inline && (type === "directory" || type === "symlink");
  const isChunked = layout === LAYOUT.chunks && type === "file";
  if (layout !== LAYOUT.plain && !isInline && !isChunked) throw damaged("an inode's format is unknown", position);
}

function readSize(view: DataView, at: number, isLong: boolean, position: number): number {
  const size = view.getUint32(at, true) + (isLong ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
  if (size > MAX_FILE_BYTES) throw damaged(`an inode has ${size} bytes`, position);
  return size;
}

function compactTime(view: DataView, at: number, epoch: TarTime): TarTime {
  const since = view.getUint32(at + COMPACT.sinceEpoch, true);
  return since === 0 ? epoch : { seconds: epoch.seconds + since, nanoseconds: epoch.nanoseconds };
}

/** Linux' `new_decode_dev`. */
export function decodeDevice(device: number): { readonly major: number; readonly minor: number } {
  return { major: (device >>> 8) & 0xfff, minor: (device & 0xff) | ((device >>> 12) & 0xfff00) };
}

/** How many bytes the entries of a file's chunks have. @throws INDEX_INVALID */
export function chunkEntriesBytes(inode: RawInode): number {
  if ((inode.data & ~CHUNK_BITS_MASK) !== CHUNK_INDEXES) throw damaged("a file's chunks are unknown", inode.position);
  return Math.ceil(inode.size / chunkBytes(inode)) * CHUNK_ENTRY_BYTES;
}

function chunkBytes({ data }: RawInode): number {
  return BLOCK * 2 ** (data & CHUNK_BITS_MASK);
}

/**
 * The one run that a file's chunks make; undefined when all of it is a hole.
 * @throws INDEX_INVALID, also when the chunks are scattered
 */
export function readPlace(index: IndexBytes, head: IndexHead, inode: RawInode): IndexPlace | undefined {
  const start = roundUp(inode.end, CHUNK_ENTRY_BYTES);
  const count = chunkEntriesBytes(inode) / CHUNK_ENTRY_BYTES;
  const step = chunkBytes(inode) / BLOCK;
  let first = NO_BLOCK;
  let device = 0;
  for (let chunk = 0; chunk < count; chunk++) {
    const at = index.seek(start + chunk * CHUNK_ENTRY_BYTES, CHUNK_ENTRY_BYTES);
    const block = index.view.getUint32(at + 4, true);
    const on = block === NO_BLOCK ? 0 : index.view.getUint16(at + 2, true);
    if (chunk === 0) [first, device] = [block, on];
    const expected = first === NO_BLOCK ? NO_BLOCK : first + chunk * step;
    if (block !== expected || on !== device) throw damaged("a file lies in several places", inode.position);
  }
  if (first === NO_BLOCK) return undefined;
  const place = { device: device - 1, offset: first * BLOCK };
  const there = head.devices[place.device];
  if (there === undefined) throw damaged("a file lies on a device that is none", inode.position);
  if (place.offset + roundUp(inode.size, BLOCK) > there.size && there.size < NO_BLOCK * BLOCK) {
    throw damaged("a file ends beyond its device", inode.position);
  }
  return place;
}
