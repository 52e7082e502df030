/**
 * Reads an EROFS index back into a tree. It takes what the writer writes, and what `mkfs.erofs --tar=i` does, and treats each byte as an
 * attacker's: everything is bounded by the index's own size, no directory is entered twice, and what the kernel would stumble over is
 * turned down. Not for images with files' content in them, compressed ones or those with other blocks than of 512 bytes.
 */
import { decodeName } from "../../sys/path-bytes.ts";
import { damaged } from "./fault.ts";
import { BLOCK, INODE_SLOT, LAYOUT, MAX_TARGET_BYTES, TYPES } from "./format.ts";
import { MAX_DEPTH } from "./outline.ts";
import { DirectoryEntries, dataRun } from "./read-directory.ts";
import { readHead, type IndexHead } from "./read-head.ts";
import { chunkEntriesBytes, decodeDevice, readInode, readPlace, type RawInode } from "./read-inode.ts";
import { XattrReader } from "./read-xattrs.ts";
import { IndexBytes, type IndexSource } from "./source.ts";
import type { IndexNode, IndexPlace, IndexTree } from "./tree.ts";

export interface ReadErofsOptions {
  /** Names that the tree may have. Default 10,000,000. */
  readonly maxEntries?: number;
}

const MAX_INDEX_BYTES = 2 ** 33;

/**
 * The tree of an index. Besides the tree it takes a few bytes for each inode; an index of up to 32 MiB is read at once.
 * Sizes of devices come back in whole blocks.
 * @throws INDEX_INVALID, and what the source throws
 */
export function readErofs(source: IndexSource | Uint8Array, options: ReadErofsOptions = {}): IndexTree {
  const index = new IndexBytes(source);
  if (index.size > MAX_INDEX_BYTES) throw damaged(`it has ${index.size} bytes`, 0);
  return new TreeReader(index, options.maxEntries ?? 10_000_000).read();
}

/** A directory whose entries are still to be read. */
interface Waiting {
  readonly node: IndexNode;
  readonly inode: RawInode;
  readonly number: number;
  readonly parent: number;
  readonly depth: number;
}

interface Linked {
  readonly node: IndexNode;
  /** Names that are still to be found. */
  missing: number;
}

class TreeReader {
  readonly #index: IndexBytes;
  readonly #head: IndexHead;
  readonly #xattrs: XattrReader;
  readonly #maxEntries: number;
  /** A bit for each inode that there can be. */
  readonly #seen: Uint8Array;
  readonly #linked = new Map<number, Linked>();
  #waiting: Waiting[] = [];
  #entries = 0;
  #spent = 0;

  constructor(index: IndexBytes, maxEntries: number) {
    this.#index = index;
    this.#head = readHead(index);
    this.#xattrs = new XattrReader(index, this.#head, (bytes, position) => this.#charge(bytes, position));
    this.#maxEntries = maxEntries;
    this.#seen = new Uint8Array(Math.ceil(index.size / INODE_SLOT / 8) + 1);
  }

  read(): IndexTree {
    const { root: number, devices } = this.#head;
    const root = this.#newNode(number, TYPES.directory.entry, number, 0);
    for (;;) {
      const directory = this.#waiting.pop();
      if (directory === undefined) break;
      this.#readDirectory(directory);
    }
    for (const [number, { missing }] of this.#linked) {
      if (missing > 0) throw damaged("an inode has fewer names than it counts", this.#positionOf(number));
    }
    return { root, devices };
  }

  #readDirectory({ node, inode, number, parent, depth }: Waiting): void {
    if (depth > MAX_DEPTH) throw damaged("directories are nested too deep", inode.position);
    this.#charge(inode.size, inode.position);
    const entries = new DirectoryEntries(number, parent);
    entries.read(this.#index, inode, this.#maxEntries - this.#entries);
    this.#entries += entries.names.length;
    if (this.#entries > this.#maxEntries) {
      throw damaged(`it has more than ${this.#maxEntries} names`, inode.position);
    }
    const found = this.#waiting.length;
    for (const [at, name] of entries.names.entries()) {
      const child = this.#node(entries.numbers[at] ?? 0, entries.types[at] ?? 0, number, depth + 1);
      node.children?.set(name, child);
    }
    // The first subdirectory's children lie next, as the writer leaves them.
    for (const directory of this.#waiting.splice(found).toReversed()) this.#waiting.push(directory);
  }

  #node(number: number, type: number, parent: number, depth: number): IndexNode {
    const position = this.#positionOf(number);
    if (!(position + INODE_SLOT <= this.#index.size)) throw damaged("an entry is of no inode", position);
    if (((this.#seen[number >>> 3] ?? 0) & (1 << (number & 7))) === 0)
      return this.#newNode(number, type, parent, depth);
    const linked = this.#linked.get(number);
    if (linked === undefined || linked.missing === 0) throw damaged("an inode has more names than it counts", position);
    if (TYPES[linked.node.type].entry !== type) throw damaged("an entry's type is wrong", position);
    linked.missing--;
    return linked.node;
  }

  #newNode(number: number, type: number, parent: number, depth: number): IndexNode {
    this.#seen[number >>> 3] = (this.#seen[number >>> 3] ?? 0) | (1 << (number & 7));
    const inode = readInode(this.#index, this.#head, number);
    const { position } = inode;
    this.#charge(inode.xattrsAt - position, position);
    if (TYPES[inode.type].entry !== type) throw damaged("an entry's type is wrong", position);
    const isDevice = inode.type === "char" || inode.type === "block";
    const device = isDevice ? decodeDevice(inode.data) : undefined;
    const node: IndexNode = {
      type: inode.type,
      mode: inode.mode,
      uid: inode.uid,
      gid: inode.gid,
      modifiedAt: inode.modifiedAt,
      xattrs: this.#xattrs.read(inode),
      size: inode.type === "file" || inode.type === "symlink" ? inode.size : 0,
      place: inode.type === "file" ? this.#readPlace(inode) : undefined,
      target: inode.type === "symlink" ? this.#readTarget(inode) : undefined,
      deviceMajor: device?.major ?? 0,
      deviceMinor: device?.minor ?? 0,
      children: inode.type === "directory" ? new Map<string, IndexNode>() : undefined,
    };
    if (inode.type === "directory") this.#waiting.push({ node, inode, number, parent, depth });
    else if (inode.links === 0) throw damaged("an inode has more names than it counts", position);
    else if (inode.links > 1) this.#linked.set(number, { node, missing: inode.links - 1 });
    return node;
  }

  #readPlace(inode: RawInode): IndexPlace | undefined {
    if (inode.size === 0) return undefined;
    if (inode.layout !== LAYOUT.chunks) throw damaged("a file's content is in the index", inode.position);
    this.#charge(chunkEntriesBytes(inode), inode.position);
    return readPlace(this.#index, this.#head, inode);
  }

  #readTarget(inode: RawInode): string {
    const { size, position } = inode;
    if (size === 0 || size > MAX_TARGET_BYTES) throw damaged("a symbolic link leads nowhere", position);
    this.#charge(size, position);
    const { blocksAt, tailAt } = dataRun(inode);
    const whole = inode.layout === LAYOUT.plain ? size : size - (size % BLOCK);
    const target = Buffer.concat([this.#copy(blocksAt, whole), this.#copy(tailAt, size - whole)]);
    if (target.includes(0)) throw damaged("a symbolic link leads nowhere", position);
    return decodeName(target);
  }

  #copy(position: number, length: number): Uint8Array {
    if (length === 0) return new Uint8Array();
    const at = this.#index.seek(position, length);
    return Uint8Array.from(this.#index.bytes.subarray(at, at + length));
  }

  #positionOf(number: number): number {
    return this.#head.inodesAt + number * INODE_SLOT;
  }

  /** All that is read adds up to the index's size at most, unless parts of it are used several times. */
  #charge(bytes: number, position: number): void {
    this.#spent += bytes;
    if (this.#spent > this.#index.size) throw damaged("parts of it overlap", position);
  }
}
