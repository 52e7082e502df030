/**
 * Reads the local pieces of a recipe. Few files are kept open, since a recipe may take turns between them; symbolic links
 * are not followed, since a path in a recipe may lie in a tree that an image made.
 */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { VarveError } from "../errors/varve-error.ts";
import type { LocalSegment } from "./segment.ts";

const MAX_OPEN = 16;
// A FIFO must not block us; O_NONBLOCK changes nothing for files and block devices.
const FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;
/** A file that this process has open: the link is the kernel's own, and leads to that file whatever its name has become. */
const OPEN_ALREADY = /^\/proc\/self\/fd\/\d+$/;

interface OpenFile {
  readonly handle: Promise<FileHandle>;
  users: number;
}

export class LocalFiles implements AsyncDisposable {
  /** In order of last use. */
  readonly #files = new Map<string, OpenFile>();

  /** Files that are open now. */
  get open(): number {
    return this.#files.size;
  }

  /**
   * Fills `buffer` with the bytes of the segment's file from `offset`.
   * @throws VarveError `SOURCE_CHANGED` when the file is gone, is no file, or is too short
   */
  async readInto(buffer: Uint8Array, segment: LocalSegment, offset: number): Promise<void> {
    try {
      const file = this.#use(segment.path);
      try {
        const handle = await file.handle;
        for (let filled = 0; filled < buffer.length;) {
          const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, offset + filled);
          if (bytesRead === 0) throw new Error(`ends at byte ${offset + filled}`);
          filled += bytesRead;
        }
      } finally {
        file.users--;
        await this.#closeIdle();
      }
    } catch (error) {
      throw sourceChanged(segment, error);
    }
  }

  /**
   * Hands the open file of the segment to `use`.
   * @throws VarveError `SOURCE_CHANGED` when the file is gone or is no file; what `use` throws
   */
  async withFile<T>(segment: LocalSegment, use: (descriptor: number) => Promise<T>): Promise<T> {
    const file = this.#use(segment.path);
    try {
      const handle = await file.handle.catch((error: unknown) => {
        throw sourceChanged(segment, error);
      });
      return await use(handle.fd);
    } finally {
      file.users--;
      await this.#closeIdle();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const files = [...this.#files.values()];
    this.#files.clear();
    await Promise.all(files.map(close));
  }

  #use(path: string): OpenFile {
    const file = this.#files.get(path) ?? { handle: openFile(path), users: 0 };
    file.users++;
    this.#files.delete(path);
    this.#files.set(path, file);
    return file;
  }

  async #closeIdle(): Promise<void> {
    for (const [path, file] of this.#files) {
      if (this.#files.size <= MAX_OPEN) return;
      if (file.users > 0) continue;
      this.#files.delete(path);
      await close(file);
    }
  }
}

/** @param position of the segment in the target, when it is a piece that nothing may be kept of */
export function sourceChanged(segment: LocalSegment, cause: unknown, position?: number): VarveError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new VarveError("SOURCE_CHANGED", `${segment.path} does not hold what the recipe wants of it: ${why}`, {
    cause,
    detail: { segment, ...(position === undefined ? {} : { position }) },
  });
}

async function openFile(path: string): Promise<FileHandle> {
  const handle = await open(path, OPEN_ALREADY.test(path) ? FLAGS : FLAGS | constants.O_NOFOLLOW);
  try {
    const stat = await handle.stat();
    if (!stat.isFile() && !stat.isBlockDevice()) throw new Error("is neither a file nor a block device");
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function close(file: OpenFile): Promise<void> {
  return file.handle.then(
    (handle) => handle.close(),
    () => {},
  );
}
