/** One name in a directory of a tree that is being read, and whether it is the same as one in another tree. */
import type { FileStatus } from "../../sys/at.ts";
import { sameAttributes, type Attributes } from "./attributes.ts";
import { changedMeanwhile } from "./fault.ts";
import { identityOf, typeOf, type FileContent, type FileType, type TreeDirectory } from "./tree-directory.ts";

const PERMISSIONS = 0o7777;
const PIECE = 256 * 1024;

export interface Entry {
  readonly directory: TreeDirectory;
  /** "" is the directory itself. */
  readonly name: string;
  /** In the tree, for messages and for the change. */
  readonly path: string;
  readonly status: FileStatus;
  readonly type: FileType;
}

/** @returns undefined when there is no such name */
export function findEntry(directory: TreeDirectory, name: string, path: string): Entry | undefined {
  const status = directory.stat(name);
  return status && { directory, name, path, status, type: typeOf(status) };
}

/**
 * Whether a layer that leaves the entry out leaves nothing out: type, mode, owner, modification time, extended attributes and, by type,
 * device number, target or content are alike. All that costs little is compared first; content is read only where everything else is
 * alike, and then always, because programs set times and clocks are coarse. The number of names is not compared.
 *
 * @param attributes of `one`
 */
export async function isSameEntry(one: Entry, attributes: Attributes, other: Entry): Promise<boolean> {
  if (!isSameNode(one, attributes, other)) return false;
  return one.type !== "file" || one.status.size === 0 || sameContent(one, other);
}

/** The same, but for the content of files. */
export function isSameNode(one: Entry, attributes: Attributes, other: Entry): boolean {
  const [a, b] = [one.status, other.status];
  return (
    one.type === other.type &&
    (a.mode & PERMISSIONS) === (b.mode & PERMISSIONS) &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    (one.type !== "file" || a.size === b.size) &&
    a.deviceMajor === b.deviceMajor &&
    a.deviceMinor === b.deviceMinor &&
    isSameTime(a, b) &&
    sameAttributes(attributes.content, other.directory.attributes(other.name, undefined).content) &&
    (one.type !== "symlink" || one.directory.readlink(one.name) === other.directory.readlink(other.name))
  );
}

function isSameTime({ modifiedAt: a }: FileStatus, { modifiedAt: b }: FileStatus): boolean {
  return a.seconds === b.seconds && a.nanoseconds === b.nanoseconds;
}

async function sameContent(one: Entry, other: Entry): Promise<boolean> {
  if (holderOf(one) === holderOf(other)) return true;
  using first = openEntry(one);
  using second = openEntry(other);
  const { size } = one.status;
  const piece = Math.min(PIECE, size);
  const [a, b] = [Buffer.allocUnsafe(piece), Buffer.allocUnsafe(piece)];
  for (let at = 0; at < size;) {
    const length = Math.min(piece, size - at);
    if ((await first.read(a, at, length)) < length) throw changedMeanwhile(one.path);
    if ((await second.read(b, at, length)) < length) throw changedMeanwhile(other.path);
    if (a.compare(b, 0, length, 0, length) !== 0) return false;
    at += length;
  }
  return true;
}

function holderOf({ directory, name, status }: Entry): string {
  return directory.holderOf(name, status);
}

/**
 * Opens a regular file and makes sure that it is the one that was looked at.
 * @throws VarveError `SOURCE_CHANGED`; NodeJS.ErrnoException
 */
export function openEntry({ directory, name, path, status }: Entry): FileContent {
  using opened = new DisposableStack();
  const file = opened.use(directory.openFile(name));
  if (!isUnchanged(file.stat(), status)) throw changedMeanwhile(path);
  opened.move();
  return file;
}

/** Whether an open file is the one it was, and nobody wrote to it. */
export function isUnchanged(now: FileStatus, before: FileStatus): boolean {
  return identityOf(now) === identityOf(before) && now.size === before.size && isSameTime(now, before);
}
