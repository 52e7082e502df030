/** One name in a directory of a tree that is being read, and whether it is the same as one in another tree. */
import { read, readSync } from "node:fs";
import { promisify } from "node:util";
import type { FileStatus } from "../../sys/at.ts";
import { sameAttributes, type Attributes } from "./attributes.ts";
import { changedMeanwhile } from "./fault.ts";
import { identityOf, typeOf, type FileType, type OpenDirectory } from "./open-directory.ts";

const PERMISSIONS = 0o7777;
const PIECE = 256 * 1024;
/** What is read at once without leaving the thread: a trip through the pool costs as much as reading this from memory. */
const SMALL = 128 * 1024;

const readAsync = promisify(read);

export interface Entry {
  readonly directory: OpenDirectory;
  /** "" is the directory itself. */
  readonly name: string;
  /** In the tree, for messages and for the change. */
  readonly path: string;
  readonly status: FileStatus;
  readonly type: FileType;
}

/** @returns undefined when there is no such name */
export function findEntry(directory: OpenDirectory, name: string, path: string): Entry | undefined {
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
  if (identityOf(one.status) === identityOf(other.status)) return true;
  using first = openEntry(one);
  using second = openEntry(other);
  const [a, b] = [Buffer.allocUnsafe(PIECE), Buffer.allocUnsafe(PIECE)];
  const { size } = one.status;
  for (let at = 0; at < size;) {
    const length = Math.min(PIECE, size - at);
    const [got, gotToo] = [await readPiece(first.file, a, at, length), await readPiece(second.file, b, at, length)];
    if (got < length) throw changedMeanwhile(one.path);
    if (gotToo < length) throw changedMeanwhile(other.path);
    if (a.compare(b, 0, length, 0, length) !== 0) return false;
    at += length;
  }
  return true;
}

/**
 * Opens a regular file and makes sure that it is the one that was looked at.
 * @throws VarveError `SOURCE_CHANGED`; NodeJS.ErrnoException
 */
export function openEntry({ directory, name, path, status }: Entry): Disposable & { readonly file: number } {
  const file = directory.openFile(name);
  const close = (): void => directory.closeFile(file);
  try {
    if (!isUnchanged(directory.statFile(file), status)) throw changedMeanwhile(path);
    return { file, [Symbol.dispose]: close };
  } catch (error) {
    close();
    throw error;
  }
}

/** Whether an open file is the one it was, and nobody wrote to it. */
export function isUnchanged(now: FileStatus, before: FileStatus): boolean {
  return identityOf(now) === identityOf(before) && now.size === before.size && isSameTime(now, before);
}

/** Fills `buffer` from its start with `length` bytes of the file. @returns fewer only at the end of the file */
export async function readPiece(file: number, buffer: Buffer, position: number, length: number): Promise<number> {
  let done = 0;
  while (done < length) {
    const rest = length - done;
    const got =
      rest <= SMALL
        ? readSync(file, buffer, done, rest, position + done)
        : (await readAsync(file, buffer, done, rest, position + done)).bytesRead;
    if (got === 0) break;
    done += got;
  }
  return done;
}
