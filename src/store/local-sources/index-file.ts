/** Reads the index over one layer's files (index-format.ts). Whatever is in it, nothing outside of the layer is named by it. */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { crc32 } from "node:zlib";
import { decodeName } from "../../sys/path-bytes.ts";
import {
  damaged,
  HEADER_BYTES,
  MAX_NAMES_END,
  NAME_HEAD_BYTES,
  readHeader,
  readTable,
  TABLE_WORDS,
  wordsOf,
  type Segment,
} from "./index-format.ts";
import { FILE_WORDS } from "./rows.ts";

/** Directories that are remembered by where their names are. */
const KEPT_NAMES = 4096;
const MAX_DEPTH = 4096;
const LONGEST_NAME = 255;

export class IndexFile implements Disposable {
  /** Which index it is. */
  readonly id: number;
  readonly segments: readonly Segment[];
  readonly #fd: number;
  readonly #directories = new Map<number, string>();

  private constructor(fd: number, id: number, segments: readonly Segment[]) {
    this.#fd = fd;
    this.id = id;
    this.segments = segments;
  }

  /** @throws INDEX_INVALID when it is damaged; NodeJS.ErrnoException */
  static open(path: string): IndexFile {
    const fd = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      const { segments, tableAt, id } = readHeader(wordsOf(readAll(fd, 0, HEADER_BYTES)));
      const bytes = segments * TABLE_WORDS * 4;
      if (fstatSync(fd).size !== tableAt + bytes) throw damaged("it is cut off");
      return new IndexFile(fd, id, readTable(wordsOf(readAll(fd, tableAt, bytes)), id, tableAt));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
  }

  /** Files that it knows. */
  get length(): number {
    return this.segments.reduce((sum, { rows }) => sum + rows, 0);
  }

  /** The rows of a segment. @throws INDEX_INVALID when they are damaged */
  rows({ rowsAt, rows, rowsSum }: Segment): Uint32Array {
    const bytes = readAll(this.#fd, rowsAt, rows * FILE_WORDS * 4);
    if (crc32(bytes) !== rowsSum) throw damaged("its rows are damaged");
    return wordsOf(bytes);
  }

  /** The path that a row of a tree's index refers to. @throws INDEX_INVALID */
  pathAt(ref: number): string {
    const { name, parent } = this.#name(ref);
    return parent === 0 ? name : `${this.#directory(parent)}/${name}`;
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #directory(ref: number): string {
    const known = this.#directories.get(ref);
    if (known !== undefined) return known;
    const names: string[] = [];
    // Each lies before what is in it, so this comes to an end.
    for (let at = ref; at !== 0;) {
      const { name, parent } = this.#name(at);
      names.push(name);
      if (parent >= at || names.length > MAX_DEPTH) throw damaged("its names go round in circles");
      at = parent;
    }
    const path = names.toReversed().join("/");
    if (this.#directories.size >= KEPT_NAMES) this.#directories.clear();
    this.#directories.set(ref, path);
    return path;
  }

  #name(ref: number): { readonly name: string; readonly parent: number } {
    const segment = this.segments.find(({ namesAt, namesBytes }) => ref >= namesAt && ref < namesAt + namesBytes);
    if (segment === undefined || ref > MAX_NAMES_END) throw damaged("a name is not among its names");
    const end = segment.namesAt + segment.namesBytes;
    const bytes = readAll(this.#fd, ref, Math.min(NAME_HEAD_BYTES + LONGEST_NAME, end - ref));
    const length = bytes[4] ?? 0;
    if (bytes.length < NAME_HEAD_BYTES + length) throw damaged("a name is cut off");
    const name = decodeName(bytes.subarray(NAME_HEAD_BYTES, NAME_HEAD_BYTES + length));
    if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
      throw damaged("a name is none");
    }
    return { name, parent: bytes.readUInt32LE(0) };
  }
}

/** @throws INDEX_INVALID when there are fewer bytes */
function readAll(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  for (let done = 0; done < length;) {
    const count = readSync(fd, bytes, done, length - done, position + done);
    if (count === 0) throw damaged("it is cut off");
    done += count;
  }
  return bytes;
}
