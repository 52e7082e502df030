/**
 * The entries of a directory. Names have to ascend over all blocks, as the kernel takes for granted; so none is there twice. Each is a
 * name indeed, `.` and `..` are there and lead where they should.
 */
import { decodeName } from "../../sys/path-bytes.ts";
import { damaged } from "./fault.ts";
import { BLOCK, DIRENT_BYTES, LAYOUT, MAX_NAME_BYTES, TYPES } from "./format.ts";
import type { RawInode } from "./read-inode.ts";
import type { IndexBytes } from "./source.ts";

const SLASH = 0x2f;
const DOT = 0x2e;

/** Where a directory's or a symbolic link's data lies: a run of blocks, and where the bytes are that fill no block. */
export interface DataRun {
  readonly blocksAt: number;
  readonly tailAt: number;
}

/** @throws INDEX_INVALID when its end crosses a block's border */
export function dataRun({ layout, data, size, end, position }: RawInode): DataRun {
  const blocksAt = data * BLOCK;
  if (layout === LAYOUT.plain) return { blocksAt, tailAt: blocksAt + size - (size % BLOCK) };
  if ((end % BLOCK) + (size % BLOCK) > BLOCK) throw damaged("an inode's data crosses a block's border", position);
  return { blocksAt, tailAt: end };
}

/** Columns of a directory's entries, without `.` and `..`. */
export class DirectoryEntries {
  readonly names: string[] = [];
  /** Of inodes. */
  readonly numbers: number[] = [];
  /** `EROFS_FT_...` */
  readonly types: number[] = [];

  readonly #own: number;
  readonly #parent: number;
  #dots = 0;
  // The name before: where its bytes are.
  #before: Buffer = Buffer.alloc(0);
  #beforeFrom = 0;
  #beforeTo = 0;

  /** @param own the directory's number, `parent` that of the one that `..` is */
  constructor(own: number, parent: number) {
    this.#own = own;
    this.#parent = parent;
  }

  /** @throws INDEX_INVALID */
  read(index: IndexBytes, inode: RawInode, limit: number): void {
    const { blocksAt, tailAt } = dataRun(inode);
    const whole = inode.size - (inode.size % BLOCK);
    for (let offset = 0; offset < whole; offset += BLOCK) {
      this.#readBlock(index, blocksAt + offset, BLOCK);
      if (this.names.length > limit) return;
    }
    if (inode.size > whole) this.#readBlock(index, tailAt, inode.size - whole);
    if (this.#dots !== 2) throw damaged('a directory has no "." or no ".."', inode.position);
  }

  #readBlock(index: IndexBytes, position: number, length: number): void {
    if (length < DIRENT_BYTES) throw damaged("a directory ends within an entry", position);
    const at = index.seek(position, length);
    const { bytes, view } = index;
    const namesFrom = view.getUint16(at + 8, true);
    if (namesFrom === 0 || namesFrom % DIRENT_BYTES !== 0) throw damaged("a directory's entries are none", position);
    let from = namesFrom;
    for (let entry = 0; entry < namesFrom; entry += DIRENT_BYTES) {
      const isLast = entry + DIRENT_BYTES === namesFrom;
      if (from + 1 > length) throw damaged("a name lies outside its block", position + entry);
      const to = isLast
        ? lastEnd(bytes, at + from, at + length) - at
        : view.getUint16(at + entry + DIRENT_BYTES + 8, true);
      if (to <= from || to > length) throw damaged("a name lies outside its block", position + entry);
      const number = view.getUint32(at + entry, true) + view.getUint32(at + entry + 4, true) * 2 ** 32;
      this.#add(bytes, at + from, at + to, number, bytes[at + entry + 10] ?? 0, position + entry);
      from = to;
    }
  }

  #add(bytes: Buffer, from: number, to: number, number: number, type: number, position: number): void {
    if (to - from > MAX_NAME_BYTES) throw damaged("a name is too long", position);
    if (!ascends(this.#before, this.#beforeFrom, this.#beforeTo, bytes, from, to)) {
      throw damaged("a directory is not in order", position);
    }
    this.#before = bytes;
    this.#beforeFrom = from;
    this.#beforeTo = to;
    if (isDots(bytes, from, to)) {
      const wanted = to - from === 1 ? this.#own : this.#parent;
      if (number !== wanted || type !== TYPES.directory.entry) throw damaged('"." or ".." leads elsewhere', position);
      this.#dots++;
      return;
    }
    this.names.push(nameOf(bytes, from, to, position));
    this.numbers.push(number);
    this.types.push(type);
  }
}

/** The last name ends with its block, or where zeros begin. */
function lastEnd(bytes: Buffer, from: number, to: number): number {
  let end = from;
  while (end < to && bytes[end] !== 0) end++;
  return end;
}

function ascends(a: Buffer, aFrom: number, aTo: number, b: Buffer, bFrom: number, bTo: number): boolean {
  const length = Math.min(aTo - aFrom, bTo - bFrom);
  for (let index = 0; index < length; index++) {
    const difference = (b[bFrom + index] ?? 0) - (a[aFrom + index] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return bTo - bFrom > aTo - aFrom;
}

function isDots(bytes: Buffer, from: number, to: number): boolean {
  return bytes[from] === DOT && (to - from === 1 || (to - from === 2 && bytes[from + 1] === DOT));
}

function nameOf(bytes: Buffer, from: number, to: number, position: number): string {
  let all = 0;
  for (let at = from; at < to; at++) {
    const byte = bytes[at] ?? 0;
    if (byte === 0 || byte === SLASH) throw damaged("a name is none", position);
    all |= byte;
  }
  return all < 0x80 ? bytes.toString("latin1", from, to) : decodeName(bytes.subarray(from, to));
}
