/**
 * A file tree as an EROFS index holds it: metadata, and for each file where its bytes lie on which device. Between the builder, the
 * writer, the reader and the merge it is the one form; it holds no file content.
 */
import type { TarTime } from "../tar/entry.ts";

export type IndexType = "file" | "directory" | "symlink" | "char" | "block" | "fifo" | "socket";

/** Where a file's bytes lie: one run on one device. Holes only at the whole: a file without a place reads as zeros. */
export interface IndexPlace {
  /** Counts from 0: the n-th device of the tree. */
  readonly device: number;
  /** Bytes from the device's start; a multiple of 512. */
  readonly offset: number;
}

/** One inode. Hard links are one node under several names. */
export interface IndexNode {
  type: IndexType;
  /** Permission bits, at most 0o7777. */
  mode: number;
  uid: number;
  gid: number;
  modifiedAt: TarTime;
  /** By full name (`user.x`, `security.capability` ...). */
  xattrs: ReadonlyMap<string, Uint8Array> | undefined;
  /** Bytes of a file, or of a symbolic link's target. */
  size: number;
  /** Of a file that has bytes. */
  place: IndexPlace | undefined;
  /** Of a symbolic link, a surrogateescape string as in `TarEntry`. */
  target: string | undefined;
  deviceMajor: number;
  deviceMinor: number;
  /** Of a directory, by name; undefined for all else. Names are surrogateescape strings. */
  children: Map<string, IndexNode> | undefined;
}

/** A device that files lie on: a layer's tar, or what could not be addressed in it. */
export interface IndexDevice {
  /** Bytes. */
  readonly size: number;
  /** Free text of at most 64 bytes that goes into the device's slot. */
  readonly tag: string;
}

export interface IndexTree {
  readonly root: IndexNode;
  readonly devices: readonly IndexDevice[];
}
