/**
 * Holds the files of a tree to the CRCs of their tar-split as they are read, once each: those that one read has the whole of, and those that are read from
 * their beginning to their end with nothing in between, as whoever goes through the whole tar does. What is only read in part is left to the DiffID of what
 * is made of it: checking it first would read all of a large file for each page of it.
 */
import { Crc64 } from "../../codec/tar-split/crc64.ts";
import type { TreeFiles } from "./tree-files.ts";
import type { TreeIndex } from "./tree-index.ts";

export class ContentCheck {
  readonly #index: TreeIndex;
  readonly #files: TreeFiles;
  /** A bit for each file. */
  readonly #checked: Uint8Array;
  readonly #crc = new Crc64();
  /** The file that is being read from its beginning, and how far that is. */
  #file = -1;
  #next = 0;

  constructor(index: TreeIndex, files: TreeFiles) {
    this.#index = index;
    this.#files = files;
    this.#checked = new Uint8Array(Math.ceil(index.files / 8));
  }

  /** Of the file, `bytes` were read from `start` on. @throws VarveError `SOURCE_CHANGED` */
  read(file: number, start: number, bytes: Uint8Array): void {
    if (((this.#checked[file >> 3] ?? 0) & (1 << (file & 7))) !== 0) return;
    if (start === 0) {
      this.#file = file;
      this.#crc.reset();
    } else if (this.#file !== file || this.#next !== start) return;
    this.#crc.update(bytes);
    this.#next = start + bytes.length;
    if (this.#next < this.#index.sizeOf(file)) return;
    this.#file = -1;
    if (!this.#crc.digest().equals(this.#index.crcOf(file))) throw this.#files.changed(file, "has another content");
    this.#checked[file >> 3]! |= 1 << (file & 7);
  }
}
