/**
 * What must be on disk after a stack of layers, worked out from their descriptions alone (image-spec "Applying Changesets"),
 * so that an unpacked tree can be held to what was pushed and not to another unpacker.
 */
import { createHash } from "node:crypto";
import { DEFAULT_MTIME, modeOf, type TreeNode } from "./tree-node.ts";
import type { TreeEntry } from "./read-tree.ts";

const OPAQUE = ".wh..wh..opq";
const WHITEOUT = ".wh.";

interface Placed {
  readonly node: TreeNode;
  /** Of a link: the node whose inode it shares. */
  readonly inode: TreeNode;
}

/** The entries as `readTree` would list them, without the root. Layers are given from the lowest up. */
export function flattenLayers(layers: readonly (readonly TreeNode[])[]): TreeEntry[] {
  let tree = new Map<string, Placed>();
  for (const layer of layers) tree = applyLayer(tree, layer);
  const names = Map.groupBy(
    [...tree].filter(([, { inode }]) => inode.type !== "directory"),
    ([, { inode }]) => inode,
  );
  const entries = [...tree].map(([path, { inode }]) => {
    const shared = (names.get(inode) ?? []).map(([name]) => name).sort(byBytes);
    return entryOf(path, inode, shared.length > 1 ? shared[0] : undefined);
  });
  return entries.sort((a, b) => byBytes(a.path, b.path));
}

/** Whiteouts act on what lower layers have, wherever in the layer they stand. */
function applyLayer(lower: ReadonlyMap<string, Placed>, layer: readonly TreeNode[]): Map<string, Placed> {
  const tree = new Map(lower);
  for (const { path } of layer) {
    const [parent, name] = splitPath(path);
    if (name === OPAQUE) remove(tree, parent, false);
    else if (name.startsWith(WHITEOUT)) remove(tree, join(parent, name.slice(WHITEOUT.length)), true);
  }
  for (const node of layer) {
    if (splitPath(node.path)[1].startsWith(WHITEOUT)) continue;
    if (node.type !== "directory") remove(tree, node.path, true);
    const inode = node.type === "link" ? (tree.get(node.target ?? "")?.inode ?? node) : node;
    tree.set(node.path, { node, inode });
  }
  return tree;
}

function remove(tree: Map<string, Placed>, path: string, itself: boolean): void {
  const prefix = path === "" ? "" : `${path}/`;
  for (const name of tree.keys()) if ((itself && name === path) || name.startsWith(prefix)) tree.delete(name);
}

function entryOf(path: string, node: TreeNode, linkedTo: string | undefined): TreeEntry {
  const content = node.type === "file" ? (node.content ?? new Uint8Array()) : undefined;
  return {
    path,
    type: node.type === "link" ? "file" : node.type,
    mode: modeOf(node),
    uid: node.uid ?? 0,
    gid: node.gid ?? 0,
    size: content?.length ?? 0,
    ...(content !== undefined && { sha256: createHash("sha256").update(content).digest("hex") }),
    ...(node.type === "symlink" && { target: node.target ?? "" }),
    ...(linkedTo !== undefined && { linkedTo }),
    mtime: node.mtime ?? DEFAULT_MTIME,
    xattrs: Object.fromEntries(
      Object.entries(node.xattrs ?? {}).map(([name, value]) => [name, Buffer.from(value).toString("hex")]),
    ),
    ...((node.type === "char" || node.type === "block") && { major: node.major ?? 0, minor: node.minor ?? 0 }),
  };
}

function splitPath(path: string): [parent: string, name: string] {
  const slash = path.lastIndexOf("/");
  return slash === -1 ? ["", path] : [path.slice(0, slash), path.slice(slash + 1)];
}

function join(parent: string, name: string): string {
  return parent === "" ? name : `${parent}/${name}`;
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
