/**
 * What trees in memory have in common, wherever they come from: the nodes that no tar describes, and overlayfs' marks by which the index
 * of one layer tells what it hides (kernel, Documentation/filesystems/overlayfs.rst, "whiteouts and opaque directories").
 */
import type { IndexNode, IndexTree, IndexType } from "../codec/erofs/tree.ts";
import type { TarTime } from "../codec/tar/entry.ts";
import { EPOCH } from "./times.ts";

export type IndexDirectoryNode = IndexNode & { children: Map<string, IndexNode> };

const MARKS = "trusted.overlay.";
const OPAQUE = "trusted.overlay.opaque";
/** Says that a directory may hold whiteouts, to an overlay that does not merge it with another. */
const ORIGIN = "trusted.overlay.origin";

export function newNode(type: IndexType, mode: number, uid: number, gid: number, modifiedAt: TarTime): IndexNode {
  return {
    type,
    mode,
    uid,
    gid,
    modifiedAt,
    xattrs: undefined,
    size: 0,
    place: undefined,
    target: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    children: undefined,
  };
}

export function newDirectory(mode: number, uid: number, gid: number, modifiedAt: TarTime): IndexDirectoryNode {
  const node = newNode("directory", mode, uid, gid, modifiedAt);
  node.children = new Map();
  return node as IndexDirectoryNode;
}

/** A directory that no entry describes, as `Metadata.implied` leaves it. */
export function impliedNode(): IndexDirectoryNode {
  return newDirectory(0o755, 0, 0, EPOCH);
}

/** What the first layer goes onto: an empty root as `LayerApplier` makes it. */
export function emptyIndex(): IndexTree {
  return { root: impliedNode(), devices: [] };
}

/** How many names a tree has. */
export function countNames(tree: IndexTree): number {
  let count = 1;
  const pending = [tree.root];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    count += next.children?.size ?? 0;
    for (const child of next.children?.values() ?? []) if (child.type === "directory") pending.push(child);
  }
  return count;
}

export function isDirectory(node: IndexNode | undefined): node is IndexDirectoryNode {
  return node?.type === "directory";
}

export function whiteoutNode(): IndexNode {
  return newNode("char", 0, 0, 0, EPOCH);
}

export function isWhiteout(node: IndexNode): boolean {
  return node.type === "char" && node.deviceMajor === 0 && node.deviceMinor === 0;
}

export function isOpaque(node: IndexNode): boolean {
  return node.xattrs?.has(OPAQUE) === true;
}

/** Marks a directory of a layer's own index. */
export function mark(node: IndexNode, opaque: boolean, whiteouts: boolean): void {
  if (!opaque && !whiteouts) return;
  const xattrs = new Map(node.xattrs);
  if (opaque) xattrs.set(OPAQUE, Uint8Array.of(0x79));
  if (whiteouts) xattrs.set(ORIGIN, new Uint8Array());
  node.xattrs = xattrs;
}

/** The attributes without the marks. */
export function unmarked(xattrs: IndexNode["xattrs"]): IndexNode["xattrs"] {
  if (xattrs === undefined || !xattrs.keys().some((name) => name.startsWith(MARKS))) return xattrs;
  const rest = [...xattrs].filter(([name]) => !name.startsWith(MARKS));
  return rest.length === 0 ? undefined : new Map(rest);
}
