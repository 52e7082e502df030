/**
 * The files of a tar and where their bytes are in it, from its headers: for layers whose own index tells nothing, because they have to be applied
 * onto the layers below (`OpenEnds.replay`).
 */
import { closeSync, constants, openSync } from "node:fs";
import type { TarEntry, TarHandler } from "../codec/tar/entry.ts";
import { readingHeaders } from "./tar-headers.ts";

/** A regular file that has bytes, all of which lie together. */
export interface TarFile {
  /** As the tar has it. */
  readonly path: string;
  readonly size: number;
  /** In the tar. */
  readonly start: number;
}

/** In their order; sparse files are left out. @throws LAYER_INVALID, LAYER_LIMIT, NodeJS.ErrnoException */
export function* filesOfTar(tar: string): Generator<TarFile> {
  const file = openSync(tar, constants.O_RDONLY | constants.O_NOFOLLOW);
  try {
    const files = new FilesInRead();
    for (const _ of readingHeaders(file, files)) yield* files.take();
    yield* files.take();
  } finally {
    closeSync(file);
  }
}

/** Counts bytes as they come, and remembers the files of one read. */
class FilesInRead implements TarHandler {
  #position = 0;
  #files: TarFile[] = [];

  raw(bytes: Uint8Array): void {
    this.#position += bytes.byteLength;
  }

  data(bytes: Uint8Array): void {
    this.#position += bytes.byteLength;
  }

  skip(length: number): void {
    this.#position += length;
  }

  endEntry(): void {}

  entry({ type, name, size, storedSize, sparse }: TarEntry): void {
    if (type !== "file" || storedSize === 0 || sparse !== undefined) return;
    this.#files.push({ path: name, size, start: this.#position });
  }

  take(): readonly TarFile[] {
    const files = this.#files;
    this.#files = [];
    return files;
  }
}
