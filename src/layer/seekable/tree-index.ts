/**
 * What a layer's tar is made of when it is held as a tree and a tar-split (formats "tar-split" §2, §5): headers and files in turns. A file with content takes
 * 32 bytes here and what its name and its headers are compressed; members without content are headers only.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { TarSplitEntry } from "../../codec/tar-split/entry.ts";
import { encodeName, decodeName } from "../../sys/path-bytes.ts";
import { PackedBytes } from "./packed-bytes.ts";
import { findStart } from "./starts.ts";

const CRC_BYTES = 8;
const LEAST_FILES = 256;
/** Of names and headers, compressed: many times what the largest layers have. */
const MAX_PACKED_BYTES = 64 << 20;
/** Of headers as they are: what is much alike takes no memory, but time. */
const MAX_HEADER_BYTES = 4 * 2 ** 30;

/** A stretch of the tar: content of a file from `start` on, or headers from there on among all headers. */
export interface TreeStretch {
  /** Undefined for headers. */
  readonly file: number | undefined;
  readonly start: number;
  readonly length: number;
}

export class TreeIndex {
  readonly #headers = new PackedBytes();
  readonly #names = new PackedBytes();
  /** Of each file, where its content begins in the tar. */
  #starts = new Float64Array(LEAST_FILES);
  /** Of each file, the bytes of content before it, and after the last one all of it. */
  #before = new Float64Array(LEAST_FILES + 1);
  /** Of each file, where its name begins among the names, and after the last one where it ended. */
  #nameStarts = new Float64Array(LEAST_FILES + 1);
  #crcs = new Uint8Array(CRC_BYTES * LEAST_FILES);
  #files = 0;

  /** Files with content. */
  get files(): number {
    return this.#files;
  }

  /** Bytes of the tar. */
  get size(): number {
    return this.#headers.size + this.#content;
  }

  get #content(): number {
    return this.#before[this.#files] ?? 0;
  }

  /** The next entry, in the order of the tar-split. @throws TAR_SPLIT_INVALID when there is more than a tar can be, or than is kept in memory */
  add(entry: TarSplitEntry): void {
    if (entry.type === "segment") this.#headers.append(entry.bytes);
    else if (entry.size > 0) this.#addFile(entry.name, entry.size, entry.crc ?? new Uint8Array(CRC_BYTES));
    if (!Number.isSafeInteger(this.size)) throw tooLarge("is of an impossible size");
    const packed = this.#headers.packedSize + this.#names.packedSize;
    if (packed > MAX_PACKED_BYTES || this.#headers.size > MAX_HEADER_BYTES) throw tooLarge("has too many headers");
  }

  sizeOf(file: number): number {
    return (this.#before[file + 1] ?? 0) - (this.#before[file] ?? 0);
  }

  /** As in the tar's header. */
  nameOf(file: number): string {
    return decodeName(this.#names.slice(this.#nameStarts[file] ?? 0, this.#nameStarts[file + 1] ?? 0));
  }

  /** Eight bytes. */
  crcOf(file: number): Uint8Array {
    return this.#crcs.subarray(CRC_BYTES * file, CRC_BYTES * (file + 1));
  }

  readHeaders(into: Uint8Array, start: number): void {
    this.#headers.read(into, start);
  }

  /** What the tar's bytes `[position, position + length)` are, in order. */
  *stretches(position: number, length: number): Generator<TreeStretch> {
    if (position < 0 || position + length > this.size) {
      throw new RangeError(`bytes ${position}+${length} of ${this.size} were asked for`);
    }
    const end = position + length;
    let file = this.#lastBefore(position);
    for (let at = position; at < end;) {
      const start = at - (file < 0 ? 0 : (this.#starts[file] ?? 0));
      const isContent = file >= 0 && start < this.sizeOf(file);
      const next = isContent ? at + this.sizeOf(file) - start : this.#startOf(file + 1);
      const part = Math.min(next, end) - at;
      if (isContent) yield { file, start, length: part };
      else if (part > 0) yield { file: undefined, start: at - (this.#before[file + 1] ?? 0), length: part };
      at += part;
      if (!isContent && at === next) file++;
    }
  }

  #startOf(file: number): number {
    return file < this.#files ? (this.#starts[file] ?? 0) : this.size;
  }

  /** The last file that begins at the position or before; -1 when none does. */
  #lastBefore(position: number): number {
    return this.#files === 0 || position < (this.#starts[0] ?? 0) ? -1 : findStart(this.#starts, this.#files, position);
  }

  #addFile(name: string, size: number, crc: Uint8Array): void {
    const file = this.#files;
    if (file === this.#starts.length) this.#grow();
    this.#starts[file] = this.size;
    this.#before[file + 1] = this.#content + size;
    this.#crcs.set(crc, CRC_BYTES * file);
    this.#names.append(encodeName(name));
    this.#nameStarts[file + 1] = this.#names.size;
    this.#files++;
  }

  #grow(): void {
    const room = 2 * this.#starts.length;
    const grown = (before: Float64Array, length: number): Float64Array<ArrayBuffer> => {
      const after = new Float64Array(length);
      after.set(before);
      return after;
    };
    this.#starts = grown(this.#starts, room);
    this.#before = grown(this.#before, room + 1);
    this.#nameStarts = grown(this.#nameStarts, room + 1);
    const crcs = new Uint8Array(CRC_BYTES * room);
    crcs.set(this.#crcs);
    this.#crcs = crcs;
  }
}

function tooLarge(why: string): VarveError {
  return new VarveError("TAR_SPLIT_INVALID", `the layer's tar ${why}`);
}
