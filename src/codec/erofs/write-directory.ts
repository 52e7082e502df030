/**
 * Blocks of a directory: entries of 12 bytes, then their names without gaps. The kernel searches by halves, first for the block, then in
 * it, so that the order holds across blocks.
 */
import { BLOCK, DIRENT_BYTES, INODE_SLOT, TYPES } from "./format.ts";
import type { Layout } from "./layout.ts";
import { nameBytes, writeName } from "./names.ts";
import type { Outline } from "./outline.ts";
import type { Piece } from "./pieces.ts";
import type { IndexNode } from "./tree.ts";

/** As many entries as a block can hold, when names have one byte. */
const lengths = new Uint8Array(Math.ceil(BLOCK / DIRENT_BYTES));

/** Writes the block that begins with the entry `first`, into zeros at `at`; returns the entry that begins the next one. */
export function writeDirectoryBlock(
  { bytes, view }: Piece,
  at: number,
  outline: Outline,
  layout: Layout,
  first: number,
  end: number,
): number {
  let used = 0;
  let next = first;
  for (; next < end; next++) {
    const length = nameBytes(outline.names[next] ?? "");
    if (used + DIRENT_BYTES + length > BLOCK) break;
    used += DIRENT_BYTES + length;
    lengths[next - first] = length;
  }
  let name = (next - first) * DIRENT_BYTES;
  for (let entry = first, dirent = at; entry < next; entry++, dirent += DIRENT_BYTES) {
    const target = outline.targets[entry] ?? 0;
    const number = (layout.positions[target] ?? 0) / INODE_SLOT;
    const length = lengths[entry - first] ?? 0;
    view.setUint32(dirent, number % 2 ** 32, true);
    view.setUint32(dirent + 4, Math.floor(number / 2 ** 32), true);
    view.setUint16(dirent + 8, name, true);
    bytes[dirent + 10] = TYPES[(outline.nodes[target] as IndexNode).type].entry;
    writeName(bytes, at + name, outline.names[entry] ?? "", length);
    name += length;
  }
  return next;
}
