/**
 * The files of an index and where their bytes are, one after the other, without a tree in memory: for who looks through millions of them. What is
 * bounded in reader.ts is bounded here; attributes are not read, and links are not counted.
 */
import { damaged } from "./fault.ts";
import { INODE_SLOT, LAYOUT, TYPES } from "./format.ts";
import { MAX_DEPTH } from "./outline.ts";
import { DirectoryEntries } from "./read-directory.ts";
import { readHead } from "./read-head.ts";
import { chunkEntriesBytes, readInode, readPlace, type RawInode } from "./read-inode.ts";
import { IndexBytes, type IndexSource } from "./source.ts";

/** One name of a regular file that has bytes. */
export interface IndexedFile {
  /** From the root, without `/` in front, as a surrogateescape string. */
  readonly path: string;
  readonly size: number;
  /** Counts from 0. */
  readonly device: number;
  /** On the device. */
  readonly start: number;
}

export interface WalkFilesOptions {
  /** Names that the index may have. Default 10,000,000. */
  readonly maxEntries?: number;
}

interface Waiting {
  readonly path: string;
  readonly number: number;
  readonly parent: number;
  readonly depth: number;
}

/**
 * Directory by directory, each in the order of its names. Files that are one hole are left out. What is read before something damaged is told.
 * @throws INDEX_INVALID, and what the source throws
 */
export function* walkErofsFiles(
  source: IndexSource | Uint8Array,
  options: WalkFilesOptions = {},
): Generator<IndexedFile> {
  const { maxEntries = 10_000_000 } = options;
  const index = new IndexBytes(source);
  const head = readHead(index);
  const entered = new Uint8Array(Math.ceil(index.size / INODE_SLOT / 8) + 1);
  const waiting: Waiting[] = [{ path: "", number: head.root, parent: head.root, depth: 0 }];
  let left = maxEntries;
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { path, number, parent, depth } = next;
    const inode = readInode(index, head, number);
    if (inode.type !== "directory" || depth > MAX_DEPTH) throw damaged("directories make no tree", inode.position);
    enter(entered, number, inode);
    const entries = new DirectoryEntries(number, parent);
    entries.read(index, inode, left);
    left -= entries.names.length;
    if (left < 0) throw damaged(`it has more than ${maxEntries} names`, inode.position);
    for (const [at, name] of entries.names.entries()) {
      const child = entries.numbers[at] ?? 0;
      const below = path === "" ? name : `${path}/${name}`;
      if (entries.types[at] === TYPES.directory.entry) {
        waiting.push({ path: below, number: child, parent: number, depth: depth + 1 });
      } else if (entries.types[at] === TYPES.file.entry) {
        const file = readInode(index, head, child);
        if (file.type !== "file" || file.size === 0 || file.layout !== LAYOUT.chunks) continue;
        // A file of more entries than the index has bytes is none.
        if (chunkEntriesBytes(file) > index.size) throw damaged("a file's chunks are unknown", file.position);
        const place = readPlace(index, head, file);
        if (place !== undefined) yield { path: below, size: file.size, device: place.device, start: place.offset };
      }
    }
  }
}

/** Nothing is entered twice, so that this comes to an end. */
function enter(entered: Uint8Array, number: number, { position }: RawInode): void {
  const bit = 1 << (number & 7);
  if (((entered[number >>> 3] ?? 0) & bit) !== 0) throw damaged("a directory has two names", position);
  entered[number >>> 3] = (entered[number >>> 3] ?? 0) | bit;
}
