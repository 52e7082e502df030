/**
 * Chunks of files that changed: the version that is held is cut into chunks as the writer of the new one cut that, by content (formats zstd-chunked
 * 1.4), or all of one size as eStargz' writers do. Only files of the same path are; of a few layers, the first that are looked at.
 */
import { createHash } from "node:crypto";
import { Chunker } from "../../codec/zstd-chunked/chunker.ts";
import type { HeldContent } from "./held-content.ts";
import type { LayerIndex } from "./layer-index.ts";
import { hashName, type NameHash } from "./name-hash.ts";
import { FILE_WORDS, refAt, sizeAt, startAt } from "./rows.ts";
import type { Budget } from "./search.ts";
import type { WantedSet } from "./wanted-set.ts";

/** Smaller files are not cut: their chunks are hardly ever found again. */
const LEAST_BYTES = 64 * 1024;
/** Chunks of one size are larger than those that content makes. */
const LEAST_FIXED = 64 * 1024;
/** Versions of one file that are cut. */
const TRIES = 3;
/** Files of which chunks are wanted. */
const MOST_FILES = 100_000;

/** Pieces of one file, which stand together in a table. */
interface ChunkedFile {
  readonly first: number;
  readonly end: number;
  readonly base: number;
  /** Bytes of each chunk; 0 where content says where they end. */
  readonly chunkBytes: number;
  tries: number;
}

export interface CutOptions {
  readonly source: number;
  readonly content: HeldContent;
  readonly budget: Budget;
}

export class CutFiles {
  readonly #wanted: WantedSet;
  /** By hash of the path. */
  readonly #files = new Map<number, ChunkedFile>();

  constructor(wanted: WantedSet) {
    this.#wanted = wanted;
  }

  get isEmpty(): boolean {
    return this.#files.size === 0;
  }

  /** Finds files of which several pieces are wanted and some have no place yet. */
  prepare(): void {
    const { table } = this.#wanted;
    for (let first = 0; first < table.length && this.#files.size < MOST_FILES;) {
      const name = table.name(first);
      let end = first + 1;
      while (end < table.length && table.name(end) === name) end++;
      if (end - first > 1 && this.#isMissing(first, end)) {
        const { path, base } = hashName(name, hash);
        this.#files.set(path, { first, end, base, chunkBytes: this.#chunkBytes(first, end), tries: 0 });
      }
      first = end;
    }
  }

  /** Whether a row has the path of a file of which chunks are missing. */
  isWanted(words: Uint32Array, row: number): boolean {
    const file = this.#files.get(words[row + 4]!);
    return file !== undefined && file.base === words[row + 5] && this.#isMissing(file.first, file.end);
  }

  /** Cuts files among these rows of a layer and looks for what is wanted of them. @throws NodeJS.ErrnoException, the signal's reason */
  async cutIn(words: Uint32Array, index: LayerIndex, options: CutOptions): Promise<void> {
    const { budget } = options;
    for (let row = 0; row < words.length; row += FILE_WORDS) {
      const size = sizeAt(words, row);
      if (size < LEAST_BYTES) continue;
      const file = this.#files.get(words[row + 4]!);
      if (file === undefined || file.base !== words[row + 5] || file.tries >= TRIES || budget.bytes < size) continue;
      const [ref, start] = [refAt(words, row), startAt(words, row)];
      if (index.known.cutOf(ref, start) === file.chunkBytes) continue;
      // What has a place keeps it: it need not be looked at again.
      if (!this.#isMissing(file.first, file.end)) file.tries = TRIES;
      if (file.tries >= TRIES) continue;
      budget.bytes -= size;
      file.tries++;
      await this.#cut({ ref, start, size, chunkBytes: file.chunkBytes }, index, options);
    }
  }

  async #cut(
    file: { readonly ref: number; readonly start: number; readonly size: number; readonly chunkBytes: number },
    { known }: LayerIndex,
    { source, content }: CutOptions,
  ): Promise<void> {
    const { ref, start, size, chunkBytes } = file;
    const take: OnPiece = (from, length, digest) => {
      known.add(length, ref, start + from, digest);
      this.#wanted.match(length, digest, { source, ref, start: start + from });
    };
    const cutter = chunkBytes === 0 ? new ContentCutter(take) : new FixedCutter(chunkBytes, take);
    let done = 0;
    for await (const bytes of content.read(ref, start, size)) {
      cutter.write(bytes);
      done += bytes.length;
    }
    cutter.end();
    if (done === size) known.addCut(ref, start, chunkBytes);
  }

  /** Whether pieces of a file are looked for and have no place, and the whole has none either, which is its first piece in most tables. */
  #isMissing(first: number, end: number): boolean {
    const { table } = this.#wanted;
    const lacks = (piece: number): boolean =>
      !this.#wanted.hasPlace(piece) && table.size(piece) > 0 && table.digest(piece) !== undefined;
    let chunks = 0;
    let isMissing = false;
    for (let piece = first + 1; piece < end; piece++) {
      chunks += table.size(piece);
      isMissing ||= lacks(piece);
    }
    const isWhole = table.size(first) >= chunks;
    return isWhole ? isMissing && !this.#wanted.hasPlace(first) : isMissing || lacks(first);
  }

  /** Chunks are of one size when all but one piece (the last one) or two (the whole) are; by chance no two chunks are that content made. */
  #chunkBytes(first: number, end: number): number {
    const { table } = this.#wanted;
    const middle = table.size(first + ((end - first) >> 1));
    if (end - first < 3 || middle < LEAST_FIXED) return 0;
    let others = 0;
    for (let piece = first; piece < end; piece++) if (table.size(piece) !== middle && ++others > 2) return 0;
    return end - first - others >= 2 ? middle : 0;
  }
}

const hash: NameHash = { path: 0, base: 0 };

type OnPiece = (from: number, length: number, digest: Uint8Array) => void;

interface Cutter {
  write(bytes: Uint8Array): void;
  end(): void;
}

/** Chunks where content ends them. Runs of zeros are nobody's to fetch. */
class ContentCutter implements Cutter {
  readonly #chunker: Chunker;
  #digester = createHash("sha256");
  #ends: { readonly end: number; readonly zeros: boolean }[] = [];
  /** Where the current chunk begins, and up to where it is hashed. */
  #from = 0;
  #hashed = 0;
  readonly #onPiece: OnPiece;
  /** Zeros of which the chunker cannot say yet whose they are come again before the next bytes. */
  #held = 0;

  constructor(onPiece: OnPiece) {
    this.#onPiece = onPiece;
    this.#chunker = new Chunker((end, zeros) => void this.#ends.push({ end, zeros }));
  }

  write(bytes: Uint8Array): void {
    const at = this.#hashed + this.#held;
    this.#chunker.write(bytes);
    this.#take(bytes, at);
    // All that is settled belongs to the current chunk.
    const settled = this.#chunker.settled;
    this.#update(bytes, at, settled);
    this.#held = at + bytes.length - this.#hashed;
  }

  end(): void {
    this.#chunker.end();
    this.#take(new Uint8Array(), this.#hashed + this.#held);
  }

  #take(bytes: Uint8Array, at: number): void {
    for (const { end, zeros } of this.#ends) {
      this.#update(bytes, at, end);
      const digest = this.#digester.digest();
      this.#digester = createHash("sha256");
      if (!zeros) this.#onPiece(this.#from, end - this.#from, digest);
      this.#from = end;
    }
    this.#ends = [];
  }

  /** Hashes up to `end`: first zeros that were held back, then bytes, which begin at `at` in the file. */
  #update(bytes: Uint8Array, at: number, end: number): void {
    if (this.#hashed < at) {
      const zeros = Math.min(at, end) - this.#hashed;
      if (zeros > 0) {
        this.#digester.update(ZEROS.subarray(0, zeros));
        this.#hashed += zeros;
      }
    }
    if (end <= this.#hashed) return;
    this.#digester.update(bytes.subarray(this.#hashed - at, end - at));
    this.#hashed = end;
  }
}

/** The most zeros that a chunker holds back. */
const ZEROS = new Uint8Array(1024);

class FixedCutter implements Cutter {
  readonly #chunkBytes: number;
  readonly #onPiece: OnPiece;
  #digester = createHash("sha256");
  #from = 0;
  #filled = 0;

  constructor(chunkBytes: number, onPiece: OnPiece) {
    this.#chunkBytes = chunkBytes;
    this.#onPiece = onPiece;
  }

  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + this.#chunkBytes - this.#filled);
      this.#digester.update(part);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === this.#chunkBytes) this.end();
    }
  }

  end(): void {
    if (this.#filled === 0) return;
    this.#onPiece(this.#from, this.#filled, this.#digester.digest());
    this.#digester = createHash("sha256");
    this.#from += this.#filled;
    this.#filled = 0;
  }
}
