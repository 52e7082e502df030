/**
 * The first of the writer's passes: which inodes there are, in what order, under which names, how large directories get. It holds columns
 * of numbers rather than an object for each entry, outside of the heap, and knows no positions yet.
 */
import { BLOCK, DIRENT_BYTES } from "./format.ts";
import { badTree, quoted, unfit } from "./fault.ts";
import { nameBytes, sortNames, targetBytes } from "./names.ts";
import type { IndexNode } from "./tree.ts";

/** Deeper than any path can name at once, and bounded for those who walk trees. */
export const MAX_DEPTH = 4096;

/** Columns by inode (`nodes`, `links` ...) and by directory entry (`names`, `targets`). Those of numbers may be longer than there are. */
export interface Outline {
  /** The root first; a directory's children stand together, before those of its first subdirectory. */
  readonly nodes: readonly IndexNode[];
  readonly links: Uint32Array;
  /** Of directories and symbolic links: bytes of their data. */
  readonly sizes: Float64Array;
  /** Of directories: the first of their entries, and behind the last. */
  readonly firstEntry: Uint32Array;
  readonly endEntry: Uint32Array;
  /** Of directories: the entry that begins the last block. */
  readonly lastBlock: Uint32Array;
  /** As directories are written: sorted, with `.` and `..`. */
  readonly names: readonly string[];
  /** The inode that an entry is of. */
  readonly targets: Uint32Array;
}

/** Rows that columns have room for at first. */
const FIRST_ROWS = 1024;

/**
 * @param check called once for each inode
 * @throws INDEX_INVALID, LAYER_LIMIT, and what `check` throws
 */
export function outline(root: IndexNode, check: (node: IndexNode) => void): Outline {
  return new Outliner(check).walk(root);
}

class Outliner implements Outline {
  readonly nodes: IndexNode[] = [];
  links = new Uint32Array(FIRST_ROWS);
  sizes = new Float64Array(FIRST_ROWS);
  firstEntry = new Uint32Array(FIRST_ROWS);
  endEntry = new Uint32Array(FIRST_ROWS);
  lastBlock = new Uint32Array(FIRST_ROWS);
  readonly names: string[] = [];
  targets = new Uint32Array(FIRST_ROWS);
  readonly #numbers = new Map<IndexNode, number>();
  readonly #check: (node: IndexNode) => void;

  constructor(check: (node: IndexNode) => void) {
    this.#check = check;
  }

  walk(root: IndexNode): Outline {
    if (root.type !== "directory") throw badTree("its root is no directory");
    // Directories that wait: number, number of the parent, depth.
    const waiting = [this.#add(root), 0, 0];
    while (waiting.length > 0) {
      const depth = waiting.pop() ?? 0;
      const parent = waiting.pop() ?? 0;
      const number = waiting.pop() ?? 0;
      if (depth > MAX_DEPTH) throw unfit(`directories are nested ${depth} deep`);
      const below = this.#visit(number, parent);
      for (const child of below.toReversed()) waiting.push(child, number, depth + 1);
    }
    this.#numbers.clear();
    return this;
  }

  #add(node: IndexNode): number {
    this.#check(node);
    const number = this.nodes.push(node) - 1;
    this.#numbers.set(node, number);
    if (number === this.links.length) this.#growNodes();
    this.links[number] = 1;
    if (node.type === "symlink") this.sizes[number] = targetBytes(node.target);
    return number;
  }

  #growNodes(): void {
    this.links = grown(this.links);
    this.sizes = grown(this.sizes);
    this.firstEntry = grown(this.firstEntry);
    this.endEntry = grown(this.endEntry);
    this.lastBlock = grown(this.lastBlock);
  }

  #addEntry(name: string, target: number): void {
    const entry = this.names.push(name) - 1;
    if (entry === this.targets.length) this.targets = grown(this.targets);
    this.targets[entry] = target;
  }

  /** Lists a directory; returns its subdirectories. */
  #visit(number: number, parent: number): number[] {
    const children = this.nodes[number]?.children;
    if (children === undefined) throw badTree("a directory has no list of children");
    if (children.has(".") || children.has("..")) throw badTree('a child is called "." or ".."');
    const names = sortNames([".", "..", ...children.keys()]);
    const subdirectories: number[] = [];
    let used = 0;
    let full = 0;
    this.firstEntry[number] = this.names.length;
    this.lastBlock[number] = this.names.length;
    for (const name of names) {
      const bytes = DIRENT_BYTES + nameBytes(name);
      // An entry that has no room left in a block begins the next.
      if (used + bytes > BLOCK) {
        full += BLOCK;
        used = 0;
        this.lastBlock[number] = this.names.length;
      }
      used += bytes;
      if (name === "." || name === "..") {
        this.#addEntry(name, name === "." ? number : parent);
        continue;
      }
      const child = this.#child(name, children.get(name));
      this.#addEntry(name, child);
      if (this.nodes[child]?.type === "directory") subdirectories.push(child);
    }
    this.endEntry[number] = this.names.length;
    this.sizes[number] = full + used;
    this.links[number] = 2 + subdirectories.length;
    return subdirectories;
  }

  #child(name: string, node: IndexNode | undefined): number {
    if (node === undefined) throw badTree(`${quoted(name)} stands for other bytes than it is made of`);
    const known = this.#numbers.get(node);
    if (known === undefined) return this.#add(node);
    if (node.type === "directory") throw badTree(`the directory ${quoted(name)} has a second name`);
    this.links[known] = (this.links[known] ?? 0) + 1;
    return known;
  }
}

/** Half as long again; what was there is given back at once. */
function grown<T extends Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(column: T): T {
  const bytes = column.BYTES_PER_ELEMENT * (column.length + (column.length >> 1));
  const buffer = column.buffer.transfer(bytes);
  return (column instanceof Uint32Array ? new Uint32Array(buffer) : new Float64Array(buffer)) as T;
}
