/** The index tree of one tar, by the plainest reading: members in order, the last one of a name counts. Whiteouts are names like others. */
import type { TarEntry, TarTime } from "../../../src/codec/tar/entry.ts";
import { TarParser } from "../../../src/codec/tar/parser.ts";
import type { IndexNode, IndexTree } from "../../../src/codec/erofs/tree.ts";

const UNSAID: TarTime = { seconds: 0, nanoseconds: 0 };

export function indexNode(type: IndexNode["type"], rest: Partial<IndexNode> = {}): IndexNode {
  return {
    type,
    mode: type === "directory" ? 0o755 : type === "symlink" ? 0o777 : 0o644,
    uid: 0,
    gid: 0,
    modifiedAt: UNSAID,
    xattrs: undefined,
    size: 0,
    place: undefined,
    target: undefined,
    deviceMajor: 0,
    deviceMinor: 0,
    children: type === "directory" ? new Map() : undefined,
    ...rest,
  };
}

/** @param tar whole, without sparse members, hard links after what they name */
export function treeOfTar(tar: Uint8Array, device = 0): IndexTree {
  const root = indexNode("directory");
  const tree = { root, devices: [{ size: tar.length, tag: "" }] };
  const parser: TarParser = new TarParser({
    entry: (entry) => place(root, entry, { device, offset: parser.offset }),
    data: () => undefined,
    endEntry: () => undefined,
  });
  parser.write(tar);
  parser.end();
  return tree;
}

function place(root: IndexNode, entry: TarEntry, at: { readonly device: number; readonly offset: number }): void {
  const path = entry.name.split("/").filter((part) => part !== "" && part !== ".");
  const name = path.pop();
  if (name === undefined) {
    Object.assign(root, nodeOf(entry, at), { children: root.children });
    return;
  }
  const parent = directoryAt(root, path);
  if (entry.type === "link") {
    parent.set(name, nodeAt(root, entry.linkName));
    return;
  }
  const node = nodeOf(entry, at);
  const there = parent.get(name);
  if (there?.type === "directory" && node.type === "directory")
    Object.assign(there, node, { children: there.children });
  else parent.set(name, node);
}

function directoryAt(root: IndexNode, path: readonly string[]): Map<string, IndexNode> {
  let children = root.children ?? new Map<string, IndexNode>();
  for (const part of path) {
    const next = children.get(part) ?? indexNode("directory");
    children.set(part, next);
    children = next.children ?? new Map<string, IndexNode>();
  }
  return children;
}

function nodeAt(root: IndexNode, path: string): IndexNode {
  const parts = path.split("/").filter((part) => part !== "" && part !== ".");
  const found = parts.reduce<IndexNode | undefined>((node, part) => node?.children?.get(part), root);
  if (found === undefined) throw new Error(`nothing is at ${path}`);
  return found;
}

function nodeOf(entry: TarEntry, at: { readonly device: number; readonly offset: number }): IndexNode {
  if (entry.type === "link") throw new Error("a hard link has no inode of its own");
  return indexNode(entry.type, {
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    modifiedAt: { ...entry.modifiedAt },
    xattrs: entry.xattrs,
    size: entry.type === "symlink" ? Buffer.from(entry.linkName).length : entry.size,
    place: entry.type === "file" && entry.size > 0 ? at : undefined,
    target: entry.type === "symlink" ? entry.linkName : undefined,
    deviceMajor: entry.type === "char" || entry.type === "block" ? entry.deviceMajor : 0,
    deviceMinor: entry.type === "char" || entry.type === "block" ? entry.deviceMinor : 0,
  });
}
