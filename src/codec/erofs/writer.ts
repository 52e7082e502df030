/**
 * Writes an EROFS index: an image of 512-byte blocks that Linux mounts as a tree, whose files' bytes lie on other devices, such as layers'
 * tars. Three passes over the tree: which inodes there are, where each goes, the bytes.
 */
import { encodeName } from "../../sys/path-bytes.ts";
import type { TarTime } from "../tar/entry.ts";
import { checkNode } from "./check-node.ts";
import { badTree } from "./fault.ts";
import { BLOCK, LAYOUT, LAYOUT_SHIFT, NO_BLOCK, UUID_BYTES, roundUp } from "./format.ts";
import { layOut, type Layout } from "./layout.ts";
import { outline, type Outline } from "./outline.ts";
import { Pieces } from "./pieces.ts";
import type { IndexNode, IndexTree } from "./tree.ts";
import { writeDirectoryBlock } from "./write-directory.ts";
import { headBytes, writeHead } from "./write-head.ts";
import { writeInode } from "./write-inode.ts";

export interface EncodeErofsOptions {
  /** 16 bytes, which become the file system's id. The same tree and uuid always give the same bytes. */
  readonly uuid: Uint8Array;
  /** Inodes of this time take half the room. Default: the time that most of them have. */
  readonly epoch?: TarTime;
  /** Told of extended attributes that the format cannot keep, and that are left out. */
  readonly onDroppedXattr?: (name: string, node: IndexNode) => void;
}

/**
 * The index of a tree, in chunks of about 256 KiB that are the caller's to keep. Besides them it takes about 120 bytes for each entry.
 * The tree must not change meanwhile.
 * @throws INDEX_INVALID when it is no tree (a directory under two names, a file beyond its device ...); LAYER_LIMIT when the format has no
 * room for it (names of more than 255 bytes, files that begin beyond 2 TiB of a device ...)
 */
export function* encodeErofs(tree: IndexTree, options: EncodeErofsOptions): Generator<Uint8Array, void, undefined> {
  if (options.uuid.length !== UUID_BYTES) throw badTree(`its uuid has ${options.uuid.length} bytes`);
  const start = headBytes(tree.devices);
  const plan = outline(tree.root, (node) => checkNode(node, tree.devices));
  const epoch = options.epoch ?? commonTime(plan.nodes);
  const layout = layOut(plan, { start, epoch, onDropped: options.onDroppedXattr });
  const pieces = new Pieces(start);
  writeHead(pieces.last, {
    uuid: options.uuid,
    epoch,
    inodes: plan.nodes.length,
    blocks: layout.blockCount,
    root: layout.positions[0] ?? 0,
    devices: tree.devices,
  });
  yield* writeInodes(pieces, plan, layout);
  yield* writeBlocks(pieces, plan, layout);
  yield pieces.end(layout.blockCount * BLOCK);
}

/** The whole second that most inodes have as their time: images are often made with one time for all. */
function commonTime(nodes: readonly IndexNode[]): TarTime {
  const counts = new Map<number, number>();
  let seconds = 0;
  let most = 0;
  for (const { modifiedAt } of nodes) {
    if (modifiedAt.nanoseconds !== 0) continue;
    const count = (counts.get(modifiedAt.seconds) ?? 0) + 1;
    counts.set(modifiedAt.seconds, count);
    if (count > most) [seconds, most] = [modifiedAt.seconds, count];
  }
  return { seconds, nanoseconds: 0 };
}

function* writeInodes(pieces: Pieces, plan: Outline, layout: Layout): Generator<Uint8Array, void, undefined> {
  const { order, positions, formats, xattrs, blocks, firstBlock } = layout;
  for (const [index, number] of order.entries()) {
    const node = plan.nodes[number] as IndexNode;
    const position = positions[number] ?? 0;
    const next = order[index + 1];
    const full = pieces.reach(position, next === undefined ? firstBlock * BLOCK : (positions[next] ?? 0));
    if (full !== undefined) yield full;
    const piece = pieces.last;
    const block = blocks[number] ?? NO_BLOCK;
    const format = formats[number] ?? 0;
    const end = writeInode(piece, node, {
      at: position - piece.start,
      format,
      links: plan.links[number] ?? 0,
      size: node.type === "file" ? node.size : (plan.sizes[number] ?? 0),
      xattrs: xattrs[number] ?? 0,
      block: block === NO_BLOCK ? NO_BLOCK : firstBlock + block,
      serial: index + 1,
    });
    if (format >> LAYOUT_SHIFT !== LAYOUT.inline) continue;
    if (node.type === "symlink") piece.bytes.set(encodeName(node.target ?? ""), end);
    else writeDirectoryBlock(piece, end, plan, layout, plan.lastBlock[number] ?? 0, plan.endEntry[number] ?? 0);
  }
}

/** What did not fit behind its inode, in the order in which the blocks were given out. */
function* writeBlocks(pieces: Pieces, plan: Outline, layout: Layout): Generator<Uint8Array, void, undefined> {
  let position = layout.firstBlock * BLOCK;
  for (const number of layout.withBlocks) {
    const node = plan.nodes[number] as IndexNode;
    const size = plan.sizes[number] ?? 0;
    const isInline = (layout.formats[number] ?? 0) >> LAYOUT_SHIFT === LAYOUT.inline;
    const end = position + (isInline ? size - (size % BLOCK) : roundUp(size, BLOCK));
    if (node.type === "symlink") {
      const full = pieces.reach(position, end);
      if (full !== undefined) yield full;
      pieces.last.bytes.set(encodeName(node.target ?? ""), position - pieces.last.start);
      position = end;
    }
    let entry = plan.firstEntry[number] ?? 0;
    for (; position < end; position += BLOCK) {
      const full = pieces.reach(position, position + BLOCK);
      if (full !== undefined) yield full;
      const piece = pieces.last;
      entry = writeDirectoryBlock(piece, position - piece.start, plan, layout, entry, plan.endEntry[number] ?? 0);
    }
  }
}
