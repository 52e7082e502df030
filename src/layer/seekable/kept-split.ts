/**
 * The tar-split that is kept beside a tree whose layer's blob is not (formats "tar-split" §4), so that the tree gives the exact tar again. What a tree
 * cannot give back is not kept: a name that comes twice, sparse files, a file that the same layer removed or replaced, one that cannot be read or that
 * is reached through a symbolic link. Everything that is copied out of it is held to a DiffID in the end.
 */
import { closeSync, constants, openSync, rmSync, writeSync } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { zstdCompressSync } from "node:zlib";
import { decompress } from "../../codec/decompress.ts";
import { MAX_MEMBERS, MAX_SEGMENT_BYTES } from "../../codec/tar-split/parser.ts";
import { TarSplitWriter } from "../../codec/tar-split/writer.ts";
import type { TarEntry, TarHandler } from "../../codec/tar/entry.ts";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { checkTreeTar } from "./tree-tar.ts";

/** Lines that are compressed together. */
const FRAME_BYTES = 1 << 20;
const READ_BYTES = 256 << 10;

/** The tar-split as it was, in chunks that are lent. @throws VarveError `FILE_NOT_FOUND`, `COMPRESSION_INVALID`, `PERMISSION`, `IO` */
export async function* readSplit(path: string): AsyncGenerator<Uint8Array> {
  try {
    await using file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    // In a store that belongs to somebody else it may be anything; a FIFO would wait for its writer for ever.
    if (!(await file.stat()).isFile()) throw new VarveError("TAR_SPLIT_INVALID", `${path} is not a regular file`);
    yield* decompress(chunksOf(file), { lend: true, compression: "zstd" });
  } catch (error) {
    throw toVarveError(error, `reading ${path}`);
  }
}

async function* chunksOf(file: FileHandle): AsyncGenerator<Uint8Array> {
  for (let at = 0; ;) {
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafeSlow(READ_BYTES), 0, READ_BYTES, at);
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Takes what a layer's tar is read into, passes it on, and keeps the tar-split. Failing to is no failure of the layer. */
export class SplitKeeper implements TarHandler, Disposable {
  readonly #inner: TarHandler;
  readonly #path: string;
  readonly #writer: TarSplitWriter;
  #fd: number | undefined;
  readonly #lines: Uint8Array[] = [];
  #length = 0;
  #hasFailed = false;
  #isKept = false;

  constructor(inner: TarHandler, path: string) {
    this.#inner = inner;
    this.#path = path;
    const limits = { segmentBytes: MAX_SEGMENT_BYTES, names: MAX_MEMBERS };
    this.#writer = new TarSplitWriter((lines) => this.#take(lines), limits);
  }

  raw(bytes: Uint8Array): void {
    this.#inner.raw?.(bytes);
    this.#writer.raw(bytes);
  }

  entry(entry: TarEntry): void {
    this.#inner.entry(entry);
    this.#writer.entry(entry);
  }

  data(bytes: Uint8Array): void {
    this.#inner.data(bytes);
    this.#writer.data(bytes);
  }

  endEntry(): void {
    this.#inner.endEntry();
    this.#writer.endEntry();
  }

  globalHeader(name: string): void {
    this.#inner.globalHeader?.(name);
    this.#writer.globalHeader(name);
  }

  endOfArchive(): void {
    this.#inner.endOfArchive?.();
    this.#writer.endOfArchive();
  }

  /**
   * The tree is complete.
   * @param root where it is
   * @param size bytes of the tar
   * @returns whether the two will give the tar
   */
  async keep(root: string, size: number): Promise<boolean> {
    this.#writer.finish();
    this.#flush();
    if (this.#writer.refused !== undefined || this.#hasFailed) return false;
    try {
      await checkTreeTar({ root, split: readSplit(this.#path), size });
      this.#isKept = true;
    } catch {
      return false;
    }
    return true;
  }

  /** Without {@link keep}, or when it said no, nothing is left. */
  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    if (this.#fd !== undefined && !this.#isKept) rmSync(this.#path, { force: true });
    this.#fd = undefined;
  }

  #take(lines: Uint8Array): void {
    this.#lines.push(lines);
    this.#length += lines.length;
    if (this.#length >= FRAME_BYTES) this.#flush();
  }

  #flush(): void {
    const lines = this.#lines.splice(0);
    this.#length = 0;
    if (this.#hasFailed) return;
    try {
      this.#fd ??= openSync(this.#path, "w", 0o600);
      const frame = zstdCompressSync(Buffer.concat(lines));
      for (let at = 0; at < frame.length;) at += writeSync(this.#fd, frame, at);
    } catch {
      this.#hasFailed = true;
    }
  }
}
