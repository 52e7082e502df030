/**
 * A directory on a disk, held by descriptor: whoever swaps a directory above it for a link meanwhile changes nothing about what is read.
 */
import { constants, read, readSync } from "node:fs";
import { promisify } from "node:util";
import { AT_FDCWD, atCalls, OPEN_DIRECTORY, type AtCalls, type FileStatus } from "../../sys/at.ts";
import { must, systemError } from "../../sys/errno.ts";
import { decodeName } from "../../sys/path-bytes.ts";
import { listOf } from "../remover.ts";
import { readAttributes, type Attributes } from "./attributes.ts";
import { compareNames, identityOf, type FileContent, type Listed, type TreeDirectory } from "./tree-directory.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK, O_DIRECTORY } = constants;
/** What is read at once without leaving the thread: a trip through the pool costs as much as reading this from memory. */
const SMALL = 128 * 1024;

const readAsync = promisify(read);

export class OpenDirectory implements TreeDirectory {
  readonly #fd: number;
  readonly #at: AtCalls;
  #closed = false;

  private constructor(fd: number, at: AtCalls) {
    this.#fd = fd;
    this.#at = at;
  }

  /** @param path followed when it is a link, as the caller's own @throws FFI_UNAVAILABLE, NodeJS.ErrnoException */
  static open(path: string): OpenDirectory {
    const at = atCalls();
    return new OpenDirectory(must(at.open(AT_FDCWD, path, O_RDONLY | O_DIRECTORY, 0), "openat", path), at);
  }

  child(name: string): OpenDirectory {
    return new OpenDirectory(must(this.#at.open(this.#fd, name, OPEN_DIRECTORY, 0), "openat", name), this.#at);
  }

  list(): Listed[] {
    const listed: Listed[] = [];
    const list = listOf(this.#fd);
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

  stat(name: string): FileStatus | undefined {
    const status = this.#at.stat(this.#fd, name);
    if (typeof status !== "number") return status;
    const error = systemError(-status, "statx", name);
    if (error.code === "ENOENT") return undefined;
    throw error;
  }

  readlink(name: string): string {
    const target = this.#at.readlink(this.#fd, name);
    if (typeof target === "number") throw systemError(-target, "readlinkat", name);
    return target;
  }

  attributes(name: string, prefix: string | undefined): Attributes {
    return readAttributes(this.#fd, name === "" ? "." : name, prefix);
  }

  /** A fifo in the file's place does not make it wait. */
  openFile(name: string): FileContent {
    const file = must(this.#at.open(this.#fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0), "openat", name);
    return {
      stat: () => {
        const status = this.#at.stat(file, "");
        if (typeof status === "number") throw systemError(-status, "statx", name);
        return status;
      },
      read: (buffer, position, length) => readFrom(file, buffer, position, length),
      [Symbol.dispose]: () => void this.#at.close(file),
    };
  }

  holderOf(_name: string, status: FileStatus): string {
    return identityOf(status);
  }

  [Symbol.dispose](): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#at.close(this.#fd);
  }
}

/** Fills `buffer` from its start with `length` bytes of an open file. @returns fewer only at the end of the file */
export async function readFrom(file: number, buffer: Buffer, position: number, length: number): Promise<number> {
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
