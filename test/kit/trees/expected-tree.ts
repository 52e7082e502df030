/**
 * The tree that layers of {@link TreeNode}s add up to, by the image-spec's words ("Applying Changesets", "Whiteouts")
 * and nothing else: a model in memory, to hold real unpackers against. Parents that no layer mentions are not in it
 * with a mode or a time of their own, because the spec says nothing of them.
 */
import { createHash } from "node:crypto";
import { encodeName } from "../../../src/sys/path-bytes.ts";
import type { TreeEntry } from "./read-tree.ts";
import { DEFAULT_MTIME, modeOf, type TreeNode } from "./tree-node.ts";

type Inode = Omit<TreeEntry, "path" | "linkedTo">;

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** @param layers from the lowest up; hard links name a path of the same or a lower layer */
export function expectedTree(layers: readonly (readonly TreeNode[])[]): TreeEntry[] {
  const tree = new Map<string, Inode>();
  for (const layer of layers) {
    const before = new Set(tree.keys());
    for (const node of layer) hide(tree, before, node);
    for (const node of layer) if (!nameOf(node.path).startsWith(WHITEOUT)) place(tree, node);
  }
  return describe(tree);
}

/** Whiteouts hide what was there before their layer, wherever in the layer they stand. */
function hide(tree: Map<string, Inode>, before: ReadonlySet<string>, node: TreeNode): void {
  const name = nameOf(node.path);
  if (!name.startsWith(WHITEOUT)) return;
  const parent = parentOf(node.path);
  const hidden = name === OPAQUE ? parent : join(parent, name.slice(WHITEOUT.length));
  for (const path of before) {
    if (path.startsWith(`${hidden}/`) || (hidden === "" && path !== "") || (name !== OPAQUE && path === hidden)) {
      tree.delete(path);
    }
  }
}

function place(tree: Map<string, Inode>, node: TreeNode): void {
  const { path } = node;
  const there = tree.get(path);
  if (node.type === "link") {
    const original = tree.get(node.target ?? "");
    if (original === undefined) throw new Error(`${path} is a hard link to ${node.target}, which is not there`);
    removeBelow(tree, path);
    tree.set(path, original);
    return;
  }
  if (there?.type !== "directory" || node.type !== "directory") removeBelow(tree, path);
  tree.set(path, inodeOf(node));
}

function removeBelow(tree: Map<string, Inode>, path: string): void {
  for (const other of tree.keys()) if (other.startsWith(`${path}/`)) tree.delete(other);
}

function inodeOf(node: TreeNode): Inode {
  const content = node.content ?? new Uint8Array();
  const xattrs = Object.entries(node.xattrs ?? {}).map(([name, value]) => [name, Buffer.from(value).toString("hex")]);
  const isFile = node.type === "file";
  const isDevice = node.type === "char" || node.type === "block";
  return {
    type: node.type as Inode["type"],
    mode: modeOf(node),
    uid: node.uid ?? 0,
    gid: node.gid ?? 0,
    size: isFile ? content.length : 0,
    ...(isFile && { sha256: createHash("sha256").update(content).digest("hex") }),
    ...(node.type === "symlink" && { target: node.target ?? "" }),
    mtime: node.mtime ?? DEFAULT_MTIME,
    xattrs: Object.fromEntries(xattrs) as Record<string, string>,
    ...(isDevice && { major: node.major ?? 0, minor: node.minor ?? 0 }),
  };
}

function describe(tree: ReadonlyMap<string, Inode>): TreeEntry[] {
  const paths = [...tree.keys()].sort((a, b) => Buffer.compare(encodeName(a), encodeName(b)));
  const groups = Map.groupBy(paths, (path) => tree.get(path));
  return paths.flatMap((path) => {
    const inode = tree.get(path);
    if (inode === undefined) return [];
    const names = groups.get(inode) ?? [];
    return [{ path, ...inode, ...(names.length > 1 && { linkedTo: names[0] ?? path }) }];
  });
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

function join(parent: string, name: string): string {
  return parent === "" ? name : `${parent}/${name}`;
}
