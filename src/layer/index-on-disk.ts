/** What is on disk at a name, as a node of a tree in memory, and how two nodes differ. Overlayfs' own marks are no part of it. */
import { constants } from "node:fs";
import type { IndexNode, IndexType } from "../codec/erofs/tree.ts";
import type { AtCalls, FileStatus } from "../sys/at.ts";
import { systemError } from "../sys/errno.ts";
import { xattrCalls } from "../sys/xattr.ts";
import { newNode, unmarked } from "./index-tree.ts";
import { quoteName } from "./names.ts";
import { isOverlayXattr } from "./overlay-marks.ts";

const TYPES = new Map<number, IndexType>([
  [constants.S_IFREG, "file"],
  [constants.S_IFDIR, "directory"],
  [constants.S_IFLNK, "symlink"],
  [constants.S_IFCHR, "char"],
  [constants.S_IFBLK, "block"],
  [constants.S_IFIFO, "fifo"],
  [constants.S_IFSOCK, "socket"],
]);

export function typeOf({ mode }: FileStatus): IndexType | undefined {
  return TYPES.get(mode & constants.S_IFMT);
}

/** Without children, and without a place. @param name empty for the directory itself @throws NodeJS.ErrnoException */
export function nodeOnDisk(at: AtCalls, directory: number, name: string): IndexNode {
  const status = at.stat(directory, name);
  if (typeof status === "number") throw systemError(-status, "statx", name);
  const { mode, uid, gid, modifiedAt, deviceMajor, deviceMinor } = status;
  const type = typeOf(status) ?? "socket";
  const node = newNode(type, mode & 0o7777, uid, gid, modifiedAt);
  node.xattrs = xattrsOf(`/proc/self/fd/${directory}/${name === "" ? "." : name}`);
  if (type === "file") node.size = status.size;
  if (type === "char" || type === "block") Object.assign(node, { deviceMajor, deviceMinor });
  if (type === "symlink") {
    const target = at.readlink(directory, name);
    if (typeof target === "number") throw systemError(-target, "readlinkat", name);
    node.target = target;
  }
  return node;
}

function xattrsOf(path: string): ReadonlyMap<string, Uint8Array> {
  const found = new Map<string, Uint8Array>();
  for (const name of xattrCalls().list(path)) {
    const value = isOverlayXattr(name) ? undefined : xattrCalls().get(path, name);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}

/**
 * What first differs, in words, if anything does; content, children and marks aside.
 * @param restricted whoever made it was not root of the machine: owners and attributes may have been left out
 */
export function nodeDifference(wanted: IndexNode, found: IndexNode, restricted: boolean): string | undefined {
  const { type } = wanted;
  const { seconds, nanoseconds } = found.modifiedAt;
  if (type !== found.type) return `${found.type}, not ${type}`;
  if (!restricted && type !== "symlink" && wanted.mode !== found.mode) {
    return `mode 0${found.mode.toString(8)}, not 0${wanted.mode.toString(8)}`;
  }
  if (!restricted && (wanted.uid !== found.uid || wanted.gid !== found.gid)) {
    return `owner ${found.uid}:${found.gid}, not ${wanted.uid}:${wanted.gid}`;
  }
  if (type === "file" && wanted.size !== found.size) return `${found.size} bytes, not ${wanted.size}`;
  if (type === "symlink" && wanted.target !== found.target) {
    return `leads to ${quoteName(found.target ?? "")}, not ${quoteName(wanted.target ?? "")}`;
  }
  if (wanted.deviceMajor !== found.deviceMajor || wanted.deviceMinor !== found.deviceMinor) {
    return `device ${found.deviceMajor}:${found.deviceMinor}, not ${wanted.deviceMajor}:${wanted.deviceMinor}`;
  }
  if (wanted.modifiedAt.seconds !== seconds || wanted.modifiedAt.nanoseconds !== nanoseconds) return "other times";
  return restricted ? undefined : xattrDifference(unmarked(wanted.xattrs) ?? new Map(), found.xattrs ?? new Map());
}

function xattrDifference(
  wanted: ReadonlyMap<string, Uint8Array>,
  found: ReadonlyMap<string, Uint8Array>,
): string | undefined {
  for (const name of new Set([...wanted.keys(), ...found.keys()])) {
    const [one, other] = [wanted.get(name), found.get(name)];
    // Where labels are the system's, each file has one.
    if (one === undefined && name === "security.selinux") continue;
    if (one === undefined || other === undefined || Buffer.compare(one, other) !== 0) {
      return `other extended attribute ${quoteName(name)}`;
    }
  }
  return undefined;
}
