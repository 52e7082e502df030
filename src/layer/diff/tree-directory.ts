/** A directory of a tree that is read: on a disk, or in an index. */
import type { FileStatus } from "../../sys/at.ts";
import { encodeName } from "../../sys/path-bytes.ts";
import type { Attributes } from "./attributes.ts";

export interface Listed {
  readonly name: string;
  /** What overlays and layers treat by rules of their own. */
  readonly special: "char" | "socket" | undefined;
}

/** In all of them the name "" is the directory itself. Methods that fail throw a NodeJS.ErrnoException or a VarveError. */
export interface TreeDirectory extends Disposable {
  /** The directory of this name; links are not followed. */
  child(name: string): TreeDirectory;
  /** All names, by their bytes. They are in memory all at once, as no order can be had otherwise. */
  list(): Listed[];
  /** @returns undefined when there is no such name */
  stat(name: string): FileStatus | undefined;
  readlink(name: string): string;
  /** @param prefix of an overlay's marks; undefined where there are none */
  attributes(name: string, prefix: string | undefined): Attributes;
  /** A regular file for reading. */
  openFile(name: string): FileContent;
  /** What holds the content of a file of that status: two of the same are alike. */
  holderOf(name: string, status: FileStatus): string;
}

/** An open file. */
export interface FileContent extends Disposable {
  /** As it is at this moment. */
  stat(): FileStatus;
  /** Fills `buffer` from its start with `length` bytes. @returns fewer only at the end of the file */
  read(buffer: Buffer, position: number, length: number): Promise<number>;
}

const SURROGATE = /[\ud800-\udfff]/;

/** By the bytes on disk. Without surrogates, and with them stand all bytes that are not UTF-8, code units sort alike. */
export function compareNames(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(encodeName(a), encodeName(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

export type FileType = "file" | "directory" | "symlink" | "char" | "block" | "fifo" | "socket";

/** linux/stat.h, the same on all architectures. */
const S_IFMT = 0o170000;
export const TYPE_BITS: Readonly<Record<FileType, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  char: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};
const TYPES = new Map(Object.entries(TYPE_BITS).map(([type, bits]) => [bits, type as FileType]));

export function typeOf({ mode }: FileStatus): FileType {
  return TYPES.get(mode & S_IFMT) ?? "socket";
}

/** Of one file as long as it exists, whatever its names. */
export function identityOf({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
}
