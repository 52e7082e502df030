/**
 * The exact tar of a layer that is held as a tree of files, from the tar-split that was kept of it (formats "tar-split" §5). Headers are in memory,
 * compressed; of the tree few files are open at a time. Nothing must change the tree meanwhile.
 */
import { join } from "node:path";
import { VarveError } from "../../errors/varve-error.ts";
import { TarSplitParser } from "../../codec/tar-split/parser.ts";
import { cleanName } from "../names.ts";
import { ContentCheck } from "./content-check.ts";
import type { SeekableTar, TarPart } from "./seekable-tar.ts";
import { TreeFiles } from "./tree-files.ts";
import { TreeIndex, type TreeStretch } from "./tree-index.ts";

/** Of what is told as bytes. */
const PART_BYTES = 1 << 20;

export interface TreeTarOptions {
  /** The directory that the layer's root is. */
  readonly root: string;
  /** The tar-split as it is, uncompressed, in chunks of any size that are only lent. */
  readonly split: AsyncIterable<Uint8Array>;
}

/** @throws VarveError `TAR_SPLIT_INVALID`, `FILE_NOT_FOUND`, `PERMISSION`, `IO`; what `split` throws */
export async function openTreeTar({ root, split }: TreeTarOptions): Promise<SeekableTar> {
  return new TreeTar(root, await readIndex(split));
}

/**
 * Looks whether all files are there and as large as they were; contents are not read.
 * @param options.size bytes of the tar
 * @throws VarveError as {@link openTreeTar}; `SOURCE_CHANGED`
 */
export async function checkTreeTar({ root, split, size }: TreeTarOptions & { readonly size: number }): Promise<void> {
  const index = await readIndex(split);
  if (index.size !== size) {
    throw new VarveError("TAR_SPLIT_INVALID", `the tar-split is of a tar of ${index.size} bytes, not ${size}`);
  }
  using files = new TreeFiles(root, index);
  for (let file = 0; file < index.files; file++) files.check(file);
}

async function readIndex(split: AsyncIterable<Uint8Array>): Promise<TreeIndex> {
  const index = new TreeIndex();
  const parser = new TarSplitParser((entry) => index.add(entry));
  for await (const chunk of split) parser.write(chunk);
  parser.end();
  return index;
}

class TreeTar implements SeekableTar {
  readonly size: number;
  readonly #root: string;
  readonly #index: TreeIndex;
  readonly #files: TreeFiles;
  readonly #check: ContentCheck;

  constructor(root: string, index: TreeIndex) {
    this.size = index.size;
    this.#root = root;
    this.#index = index;
    this.#files = new TreeFiles(root, index);
    this.#check = new ContentCheck(index, this.#files);
  }

  async read(into: Uint8Array, position: number): Promise<void> {
    let filled = 0;
    for (const { file, start, length } of this.#index.stretches(position, into.length)) {
      const part = into.subarray(filled, filled + length);
      filled += length;
      if (file === undefined) {
        this.#index.readHeaders(part, start);
        continue;
      }
      await this.#files.read(file, part, start);
      this.#check.read(file, start, part);
    }
  }

  *parts(start: number, length: number): Generator<TarPart> {
    for (const stretch of this.#index.stretches(start, length)) yield* this.#partsOf(stretch);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#files[Symbol.dispose]();
  }

  *#partsOf({ file, start, length }: TreeStretch): Generator<TarPart> {
    const name = file === undefined ? undefined : this.#index.nameOf(file);
    // A name that is no text cannot be told.
    if (file !== undefined && name?.isWellFormed() === true) {
      this.#files.check(file);
      yield { kind: "file", path: join(this.#root, ...cleanName(name)), start, length };
      return;
    }
    for (let at = 0; at < length; at += PART_BYTES) {
      const bytes = new Uint8Array(Math.min(PART_BYTES, length - at));
      if (file === undefined) this.#index.readHeaders(bytes, start + at);
      else this.#files.readNow(file, bytes, start + at);
      yield { kind: "data", bytes };
    }
  }
}
