/** A tree's description as a tar, the way image builders write layers: members in the given order, PAX where needed. */
import { buffer } from "node:stream/consumers";
import { pack, type Header } from "tar-stream";
import { DEFAULT_MTIME, modeOf, type NodeType, type TreeNode } from "../trees/tree-node.ts";

const TYPES = {
  file: "file",
  directory: "directory",
  symlink: "symlink",
  link: "link",
  fifo: "fifo",
  char: "character-device",
  block: "block-device",
} as const satisfies Record<NodeType, Header["type"]>;

export async function packTree(nodes: readonly TreeNode[]): Promise<Buffer> {
  const archive = pack();
  for (const node of nodes) {
    const content = Buffer.from(node.content ?? []);
    const mtime = node.mtime ?? DEFAULT_MTIME;
    const seconds = mtime / 1_000_000_000n;
    const pax: Record<string, string> = {};
    if (mtime % 1_000_000_000n !== 0n) pax["mtime"] = `${seconds}.${String(mtime % 1_000_000_000n).padStart(9, "0")}`;
    for (const [name, value] of Object.entries(node.xattrs ?? {})) {
      pax[`SCHILY.xattr.${name}`] = Buffer.from(value).toString("utf8");
    }
    const header: Header = {
      name: node.type === "directory" ? `${node.path}/` : node.path,
      type: TYPES[node.type],
      mode: modeOf(node),
      uid: node.uid ?? 0,
      gid: node.gid ?? 0,
      mtime: new Date(Number(seconds) * 1000),
      size: node.type === "file" ? content.length : 0,
      linkname: node.target ?? "",
      uname: "",
      gname: "",
      devmajor: node.major ?? 0,
      devminor: node.minor ?? 0,
      pax,
    };
    archive.entry(header, content);
  }
  archive.finalize();
  return buffer(archive);
}
