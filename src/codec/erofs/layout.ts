/**
 * The second of the writer's passes: where each inode goes. Behind it, in one piece: its extended attributes, then the entries of its
 * chunks or the end of its data. Data that has no room there follows all inodes, in blocks of its own.
 */
import type { TarTime } from "../tar/entry.ts";
import {
  BLOCK,
  CHUNK_ENTRY_BYTES,
  COMPACT_BYTES,
  EXTENDED,
  EXTENDED_BYTES,
  INODE_SLOT,
  LAYOUT,
  LAYOUT_SHIFT,
  NO_BLOCK,
  chunkCount,
  roundUp,
} from "./format.ts";
import { unfit } from "./fault.ts";
import type { Outline } from "./outline.ts";
import type { IndexNode } from "./tree.ts";
import { storedXattrs, xattrBytes } from "./xattrs.ts";

/** Inodes that wait for a block with room for them. More would tear siblings apart. */
const MAX_WAITING = 8;

/** Columns by inode, but for `order` and `withBlocks`, which list inodes. */
export interface Layout {
  /** By position. */
  readonly order: Uint32Array;
  /** Bytes from the index's start. */
  readonly positions: Float64Array;
  /** `i_format`. */
  readonly formats: Uint16Array;
  /** Bytes of extended attributes. */
  readonly xattrs: Uint32Array;
  /** Those whose data has blocks of its own, in the order of the blocks. */
  readonly withBlocks: readonly number[];
  /** The first of its own blocks, counted from `firstBlock`; NO_BLOCK for none. */
  readonly blocks: Uint32Array;
  /** The block behind all inodes. */
  readonly firstBlock: number;
  /** Of the whole index. */
  readonly blockCount: number;
}

export interface LayoutOptions {
  /** Where the first inode may begin. */
  readonly start: number;
  /** The time of compact inodes. */
  readonly epoch: TarTime;
  /** Told of attributes that cannot be kept. */
  readonly onDropped?: ((name: string, node: IndexNode) => void) | undefined;
}

/** @throws LAYER_LIMIT */
export function layOut(outline: Outline, options: LayoutOptions): Layout {
  return new Placer(outline, options).place();
}

class Placer implements Layout {
  readonly order: Uint32Array;
  readonly positions: Float64Array;
  readonly formats: Uint16Array;
  readonly xattrs: Uint32Array;
  readonly withBlocks: number[] = [];
  readonly blocks: Uint32Array;
  firstBlock = 0;
  blockCount = 0;
  readonly #outline: Outline;
  readonly #options: LayoutOptions;
  #next: number;
  #placed = 0;
  #ownBlocks = 0;

  constructor(outline: Outline, options: LayoutOptions) {
    this.#outline = outline;
    this.#options = options;
    const { length } = outline.nodes;
    this.order = new Uint32Array(length);
    this.positions = new Float64Array(length);
    this.formats = new Uint16Array(length);
    this.xattrs = new Uint32Array(length);
    this.blocks = new Uint32Array(length);
    this.#next = roundUp(options.start, INODE_SLOT);
  }

  /** An end of data must not cross a block's border; what does not fit lets others pass, so that few gaps remain. */
  place(): Layout {
    const { nodes } = this.#outline;
    const waiting: { readonly number: number; readonly bytes: number }[] = [];
    for (let number = 0; number < nodes.length; number++) {
      const bytes = this.#shape(number);
      if (this.#layout(number) !== LAYOUT.inline || this.#fits(bytes)) this.#put(number, bytes);
      else waiting.push({ number, bytes });
      // The root's number has few bits, so it goes first.
      if (waiting.length > (number === 0 ? 0 : MAX_WAITING)) this.#skipToBlock();
      this.#putWaiting(waiting);
    }
    while (waiting.length > 0) {
      this.#skipToBlock();
      this.#putWaiting(waiting);
    }
    this.firstBlock = roundUp(this.#next, BLOCK) / BLOCK;
    this.blockCount = this.firstBlock + this.#ownBlocks;
    if (this.blockCount >= NO_BLOCK) throw unfit("it has too many entries");
    return this;
  }

  #layout(number: number): number {
    return (this.formats[number] ?? 0) >> LAYOUT_SHIFT;
  }

  #fits(bytes: number): boolean {
    return (this.#next % BLOCK) + bytes <= BLOCK;
  }

  #skipToBlock(): void {
    this.#next = roundUp(this.#next, BLOCK);
  }

  #put(number: number, bytes: number): void {
    this.order[this.#placed++] = number;
    this.positions[number] = this.#next;
    this.#next = roundUp(this.#next + bytes, INODE_SLOT);
  }

  #putWaiting(waiting: { readonly number: number; readonly bytes: number }[]): void {
    for (let index = 0; index < waiting.length;) {
      const { number, bytes } = waiting[index] ?? { number: 0, bytes: 0 };
      if (this.#fits(bytes)) {
        this.#put(number, bytes);
        waiting.splice(index, 1);
      } else {
        index++;
      }
    }
  }

  /** Chooses an inode's form; returns how many bytes it takes with all that goes right behind it. */
  #shape(number: number): number {
    const node = this.#outline.nodes[number] as IndexNode;
    const size = this.#outline.sizes[number] ?? 0;
    const extended = this.#isCompact(node, number) ? 0 : EXTENDED;
    const xattrs = this.#xattrBytes(node);
    const head = (extended === 0 ? COMPACT_BYTES : EXTENDED_BYTES) + xattrs;
    const isChunked = node.type === "file" && node.size > 0;
    const end = node.type === "directory" ? size % BLOCK : size;
    const isInline = !isChunked && end > 0 && head + end <= BLOCK;
    const layout = isChunked ? LAYOUT.chunks : isInline ? LAYOUT.inline : LAYOUT.plain;
    this.formats[number] = extended | (layout << LAYOUT_SHIFT);
    this.xattrs[number] = xattrs;
    this.#takeBlocks(number, isInline ? (size - end) / BLOCK : Math.ceil(size / BLOCK));
    if (isChunked) return roundUp(head, CHUNK_ENTRY_BYTES) + CHUNK_ENTRY_BYTES * chunkCount(node.size);
    return isInline ? head + end : head;
  }

  #takeBlocks(number: number, count: number): void {
    this.blocks[number] = count === 0 ? NO_BLOCK : this.#ownBlocks;
    if (count > 0) this.withBlocks.push(number);
    this.#ownBlocks += count;
  }

  #isCompact({ uid, gid, size, modifiedAt, type }: IndexNode, number: number): boolean {
    const { seconds, nanoseconds } = this.#options.epoch;
    const links = this.#outline.links[number] ?? 0;
    const bytes = type === "file" ? size : (this.#outline.sizes[number] ?? 0);
    return (
      modifiedAt.seconds === seconds &&
      modifiedAt.nanoseconds === nanoseconds &&
      (uid | gid | links) >>> 16 === 0 &&
      bytes < 2 ** 32
    );
  }

  #xattrBytes(node: IndexNode): number {
    if (node.xattrs === undefined || node.xattrs.size === 0) return 0;
    const { onDropped } = this.#options;
    return xattrBytes(storedXattrs(node.xattrs, onDropped && ((name) => onDropped(name, node))));
  }
}
