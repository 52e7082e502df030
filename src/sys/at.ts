/**
 * System calls relative to an open directory (openat(2) and its kin): what a name means can then not be changed by whoever
 * swaps a parent directory for a link meanwhile. None of them follows a symbolic link at the name.
 *
 * Two implementations pass one conformance test: foreign calls, and plain Node through `/proc/self/fd/<directory>/<name>`.
 * Results are the kernel's own, 0 or more or a negated errno: "already there" is an everyday answer on these paths and an
 * exception costs ten times the call. `must` (errno.ts) turns a result into an exception.
 */
import { constants } from "node:fs";
import { VarveError } from "../errors/varve-error.ts";
import { nativeAtCalls } from "./at-native.ts";
import { procAtCalls } from "./at-proc.ts";
import { ffiAvailable } from "./libc.ts";

/** Seconds since 1970 and the nanoseconds that follow them, 0 ... 999,999,999. */
export interface FileTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** What lstat says; numbers that can pass 2^53 are bigints. */
export interface FileStatus {
  /** `S_IFMT` bits and permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly device: bigint;
  readonly inode: bigint;
  readonly size: number;
  /** Of 512 bytes, that it takes on the disk. */
  readonly blocks: number;
  /** Of a device; 0 otherwise. */
  readonly deviceMajor: number;
  readonly deviceMinor: number;
  readonly accessedAt: FileTime;
  readonly modifiedAt: FileTime;
}

/** A `directory` is an open directory (also one opened with `O_PATH`); a `name` is one component, as a surrogateescape string. */
export interface AtCalls {
  /** False when times lose what is below a microsecond. */
  readonly exactTimes: boolean;
  /** False when devices, fifos and extended attributes are out of reach. */
  readonly native: boolean;
  /** `O_CLOEXEC` is added. Close with `close` of the same calls. @returns the descriptor */
  open(directory: number, name: string, flags: number, mode: number): number;
  close(file: number): number;
  /** At `position`, or at the file's own offset when it is undefined. @returns the bytes written, maybe fewer than given */
  write(file: number, bytes: Uint8Array, position?: number): number;
  truncate(file: number, size: number): number;
  mkdir(directory: number, name: string, mode: number): number;
  unlink(directory: number, name: string): number;
  rmdir(directory: number, name: string): number;
  rename(fromDirectory: number, from: string, toDirectory: number, to: string): number;
  symlink(target: string, directory: number, name: string): number;
  /** A hard link; to the link itself where `from` is a symbolic one. */
  link(fromDirectory: number, from: string, toDirectory: number, to: string): number;
  /** `mode` with its type bits. */
  mknod(directory: number, name: string, mode: number, major: number, minor: number): number;
  /** The status of the name, or of `directory` itself when the name is empty. */
  stat(directory: number, name: string): FileStatus | number;
  readlink(directory: number, name: string): string | number;
  chown(directory: number, name: string, uid: number, gid: number): number;
  /** Of the name, or of `directory` itself when the name is empty. `-EOPNOTSUPP` on a symbolic link. */
  chmod(directory: number, name: string, mode: number): number;
  setTimes(directory: number, name: string, accessedAt: FileTime, modifiedAt: FileTime): number;
  fileChown(file: number, uid: number, gid: number): number;
  fileChmod(file: number, mode: number): number;
  fileSetTimes(file: number, accessedAt: FileTime, modifiedAt: FileTime): number;
}

/** In place of a directory: the name is a path from where the process stands. */
export const AT_FDCWD = -100;

/** Opens nothing but a place in the tree; needs no permission to read it. The same number on every Linux. */
export const O_PATH = 0o10000000;

/** To open a directory as a place to work in, and fail on all else, links too. */
export const OPEN_DIRECTORY = O_PATH | constants.O_DIRECTORY | constants.O_NOFOLLOW;

let native: AtCalls | undefined;

/**
 * The calls, foreign where possible.
 * @throws FFI_UNAVAILABLE on systems that are not Linux
 */
export function atCalls(): AtCalls {
  if (process.platform !== "linux") {
    throw new VarveError("FFI_UNAVAILABLE", `trees of files can only be made on Linux, not on ${process.platform}`);
  }
  return ffiAvailable() ? (native ??= nativeAtCalls()) : procAtCalls;
}
