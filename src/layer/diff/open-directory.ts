/**
 * A directory of a tree that is being read, held by descriptor: whoever swaps a directory above it for a link meanwhile changes nothing
 * about what is read.
 */
import { constants } from "node:fs";
import { AT_FDCWD, atCalls, OPEN_DIRECTORY, type AtCalls, type FileStatus } from "../../sys/at.ts";
import { must, systemError } from "../../sys/errno.ts";
import { decodeName, encodeName } from "../../sys/path-bytes.ts";
import { listOf } from "../remover.ts";
import { readAttributes, type Attributes } from "./attributes.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;
/** linux/stat.h, the same on all architectures. */
const S_IFMT = 0o170000;

export interface Listed {
  readonly name: string;
  /** What overlays and layers treat by rules of their own. */
  readonly special: "char" | "socket" | undefined;
}

export class OpenDirectory implements Disposable {
  readonly fd: number;
  readonly #at: AtCalls;
  #closed = false;

  private constructor(fd: number, at: AtCalls) {
    this.fd = fd;
    this.#at = at;
  }

  /** @param path followed when it is a link, as the caller's own @throws FFI_UNAVAILABLE, NodeJS.ErrnoException */
  static open(path: string): OpenDirectory {
    const at = atCalls();
    return new OpenDirectory(must(at.open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0), "openat", path), at);
  }

  /** The directory of this name; links are not followed. */
  child(name: string): OpenDirectory {
    return new OpenDirectory(must(this.#at.open(this.fd, name, OPEN_DIRECTORY, 0), "openat", name), this.#at);
  }

  /** All names, by their bytes. They are in memory all at once, as no order can be had otherwise. */
  list(): Listed[] {
    const listed: Listed[] = [];
    const list = listOf(this.fd);
    try {
      for (let found = list.readSync(); found !== null; found = list.readSync()) {
        const special = found.isCharacterDevice() ? "char" : found.isSocket() ? "socket" : undefined;
        listed.push({ name: decodeName(found.name as unknown as Uint8Array), special });
      }
    } finally {
      list.closeSync();
    }
    return listed.sort((a, b) => compareNames(a.name, b.name));
  }

  /** @param name "" is the directory itself @returns undefined when there is no such name */
  stat(name: string): FileStatus | undefined {
    const status = this.#at.stat(this.fd, name);
    if (typeof status !== "number") return status;
    const error = systemError(-status, "statx", name);
    if (error.code === "ENOENT") return undefined;
    throw error;
  }

  readlink(name: string): string {
    const target = this.#at.readlink(this.fd, name);
    if (typeof target === "number") throw systemError(-target, "readlinkat", name);
    return target;
  }

  attributes(name: string, prefix: string | undefined): Attributes {
    return readAttributes(this.fd, name === "" ? "." : name, prefix);
  }

  /** A regular file for reading; a fifo in its place does not make it wait. */
  openFile(name: string): number {
    return must(this.#at.open(this.fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), "openat", name);
  }

  closeFile(file: number): void {
    this.#at.close(file);
  }

  /** Of an open file. */
  statFile(file: number): FileStatus {
    const status = this.#at.stat(file, "");
    if (typeof status === "number") throw systemError(-status, "statx");
    return status;
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#at.close(this.fd);
  }
}

const SURROGATE = /[\ud800-\udfff]/;

/** By the bytes on disk. Without surrogates, and with them stand all bytes that are not UTF-8, code units sort alike. */
export function compareNames(a: string, b: string): number {
  if (SURROGATE.test(a) || SURROGATE.test(b)) return Buffer.compare(encodeName(a), encodeName(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

export type FileType = "file" | "directory" | "symlink" | "char" | "block" | "fifo" | "socket";

const TYPES: Readonly<Record<number, FileType>> = {
  0o100000: "file",
  0o040000: "directory",
  0o120000: "symlink",
  0o020000: "char",
  0o060000: "block",
  0o010000: "fifo",
  0o140000: "socket",
};

export function typeOf({ mode }: FileStatus): FileType {
  return TYPES[mode & S_IFMT] ?? "socket";
}

/** Of one file as long as it exists, whatever its names. */
export function identityOf({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
}
