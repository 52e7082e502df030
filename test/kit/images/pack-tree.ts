/** A tree's description as a tar, the way image builders write layers: members in the given order, PAX where needed. */
import { encodeTarEntry, TAR_END, tarPadding, type TarFormat } from "../../../src/codec/tar/header.ts";
import { DEFAULT_MTIME, modeOf, type TreeNode } from "../trees/tree-node.ts";

const NANOSECONDS = 1_000_000_000n;

export interface PackOptions {
  /** Default pax. */
  readonly format?: TarFormat;
}

export function packTree(nodes: readonly TreeNode[], options: PackOptions = {}): Buffer {
  return Buffer.concat([...nodes.flatMap((node) => packNode(node, options)), TAR_END]);
}

/** One member: header blocks, payload, padding. */
export function packNode(node: TreeNode, options: PackOptions = {}): Uint8Array[] {
  const content = node.type === "file" ? (node.content ?? new Uint8Array()) : new Uint8Array();
  const name = node.path === "" ? "./" : node.type === "directory" ? `${node.path}/` : node.path;
  const header = encodeTarEntry(
    {
      type: node.type,
      name,
      linkName: node.target ?? "",
      mode: modeOf(node),
      uid: node.uid ?? 0,
      gid: node.gid ?? 0,
      size: content.length,
      storedSize: content.length,
      modifiedAt: timeOf(node.mtime ?? DEFAULT_MTIME),
      deviceMajor: node.major ?? 0,
      deviceMinor: node.minor ?? 0,
      ...(node.xattrs !== undefined && { xattrs: new Map(Object.entries(node.xattrs)) }),
    },
    options,
  );
  return [header, content, tarPadding(content.length)];
}

function timeOf(mtime: bigint): { seconds: number; nanoseconds: number } {
  const nanoseconds = ((mtime % NANOSECONDS) + NANOSECONDS) % NANOSECONDS;
  return { seconds: Number((mtime - nanoseconds) / NANOSECONDS), nanoseconds: Number(nanoseconds) };
}
