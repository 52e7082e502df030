/** What is on disk below a directory, to the last bit that an image can carry. */
import { createHash } from "node:crypto";
import { createReadStream, type BigIntStats } from "node:fs";
import { lstat, readdir, readlink } from "node:fs/promises";
import { pipeline } from "node:stream/promises";
import { decodeName } from "../../../src/sys/path-bytes.ts";
import { xattrCalls } from "../../../src/sys/xattr.ts";
import type { NodeType } from "./tree-node.ts";

export interface TreeEntry {
  /** Relative to the root, `""` for the root itself; bytes that are not UTF-8 as surrogateescape. */
  readonly path: string;
  readonly type: Exclude<NodeType, "link"> | "socket";
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes; 0 for all but files. */
  readonly size: number;
  readonly sha256?: string;
  readonly target?: string;
  /** The first path, in order of bytes, of those that share this inode, when there are several in the tree. */
  readonly linkedTo?: string;
  /** Nanoseconds since 1970. */
  readonly mtime: bigint;
  /** Name to value in hex. */
  readonly xattrs: Readonly<Record<string, string>>;
  readonly major?: number;
  readonly minor?: number;
}

/** Every entry, the root's first, in order of the paths' bytes. */
export async function readTree(root: string): Promise<TreeEntry[]> {
  const found: Found[] = [];
  await walk(Buffer.from(root), Buffer.alloc(0), found);
  found.sort((a, b) => Buffer.compare(a.path, b.path));
  const firstNames = groupLinks(found);
  const entries: TreeEntry[] = [];
  for (const { path, full, stats } of found) {
    const type = typeOf(stats);
    const linkedTo = firstNames.get(keyOf(stats));
    entries.push({
      path: decodeName(path),
      type,
      mode: Number(stats.mode & 0o7777n),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      size: type === "file" ? Number(stats.size) : 0,
      ...(type === "file" && { sha256: await hashFile(full) }),
      ...(type === "symlink" && { target: decodeName(await readlink(full, { encoding: "buffer" })) }),
      ...(linkedTo !== undefined && { linkedTo }),
      mtime: stats.mtimeNs,
      xattrs: readXattrs(full),
      ...((type === "char" || type === "block") && deviceNumbers(stats.rdev)),
    });
  }
  return entries;
}

interface Found {
  readonly path: Buffer;
  readonly full: Buffer;
  readonly stats: BigIntStats;
}

const SLASH = Buffer.from("/");

async function walk(full: Buffer, path: Buffer, found: Found[]): Promise<void> {
  const stats = await lstat(full, { bigint: true });
  found.push({ path, full, stats });
  if (!stats.isDirectory()) return;
  for (const name of await readdir(full, { encoding: "buffer" })) {
    const child = path.length === 0 ? name : Buffer.concat([path, SLASH, name]);
    await walk(Buffer.concat([full, SLASH, name]), child, found);
  }
}

function keyOf(stats: BigIntStats): string {
  return `${stats.dev}:${stats.ino}`;
}

function groupLinks(found: readonly Found[]): Map<string, string> {
  const groups = Map.groupBy(
    found.filter(({ stats }) => !stats.isDirectory() && stats.nlink > 1n),
    ({ stats }) => keyOf(stats),
  );
  const several = [...groups].filter(([, members]) => members.length > 1);
  return new Map(several.map(([key, [first]]) => [key, decodeName(first?.path ?? Buffer.alloc(0))]));
}

function typeOf(stats: BigIntStats): TreeEntry["type"] {
  if (stats.isFile()) return "file";
  if (stats.isDirectory()) return "directory";
  if (stats.isSymbolicLink()) return "symlink";
  if (stats.isFIFO()) return "fifo";
  if (stats.isCharacterDevice()) return "char";
  return stats.isBlockDevice() ? "block" : "socket";
}

/** Linux: 12 bits of major and 8 of minor in the low half, the rest above them. */
function deviceNumbers(rdev: bigint): { major: number; minor: number } {
  const major = ((rdev >> 8n) & 0xfffn) | ((rdev >> 32n) & 0xfffff000n);
  const minor = (rdev & 0xffn) | ((rdev >> 12n) & 0xffffff00n);
  return { major: Number(major), minor: Number(minor) };
}

function readXattrs(full: Buffer): Record<string, string> {
  const path = decodeName(full);
  const calls = xattrCalls();
  const names = calls.list(path).sort();
  return Object.fromEntries(names.map((name) => [name, Buffer.from(calls.get(path, name) ?? []).toString("hex")]));
}

async function hashFile(path: Buffer): Promise<string> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(path, { highWaterMark: 1024 * 1024 }), hash);
  return hash.digest("hex");
}
