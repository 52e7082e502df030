/**
 * Writes a file's content as frames, cut where the rolling sum says so, and takes the digests of the whole and of each chunk (formats
 * "zstd-chunked" §1.4, §1.5). Every byte is hashed once, and a second time from the second chunk on.
 */
import { createHash, hash, type Hash } from "node:crypto";
import { Chunker, ZERO_RUN_BYTES } from "./chunker.ts";
import type { FrameWriter } from "./frame-writer.ts";
import type { WrittenChunk, WrittenContent } from "./toc-line.ts";

/** Enough for 16 GiB of ordinary content. */
const MOST_CHUNKS = 1 << 18;

const ZEROS = new Uint8Array(ZERO_RUN_BYTES);

export interface WrittenFile {
  readonly content: WrittenContent;
  /** The second one and those after it; the first is in `content`. */
  readonly moreChunks: readonly WrittenChunk[];
}

/** Call `begin`, `data` until the file is complete, `end`; then it is ready for the next file. */
export class PayloadWriter {
  readonly #frames: FrameWriter;
  readonly #mostChunks: number;
  readonly #chunker = new Chunker((end, zeros) => this.#ends.push({ end, zeros }));
  /** Of the chunks that ended in the bytes at hand. */
  readonly #ends: { readonly end: number; readonly zeros: boolean }[] = [];
  #chunks: WrittenChunk[] = [];
  #size = 0;
  /** Bytes of the file that were given to the chunker, and of these that were written. */
  #seen = 0;
  #written = 0;
  #start = 0;
  #chunkAt = 0;
  #chunkStart = 0;
  #fileHash: Hash | undefined;
  #chunkHash: Hash | undefined;

  /** @param mostChunks of one file, held in memory until its end is known. Default 262,144 */
  constructor(frames: FrameWriter, mostChunks: number = MOST_CHUNKS) {
    this.#frames = frames;
    this.#mostChunks = mostChunks;
  }

  /** Whether the file has more chunks than can be told of. */
  get tooMany(): boolean {
    return this.#chunks.length > this.#mostChunks;
  }

  /** A file of so many bytes, at least one. What is written before it has ended at a border. */
  begin(size: number): void {
    this.#size = size;
    this.#seen = 0;
    this.#written = 0;
    this.#start = this.#frames.offset;
    this.#chunkAt = 0;
    this.#chunkStart = this.#start;
    this.#chunks = [];
  }

  /** The next bytes, which are only lent. */
  data(bytes: Uint8Array): void {
    const base = this.#seen;
    this.#seen += bytes.length;
    this.#chunker.write(bytes);
    const settled = this.#chunker.settled;
    if (this.#seen === this.#size) this.#chunker.end();
    for (const { end, zeros } of this.#ends.splice(0)) this.#endChunk(this.#upTo(end, base, bytes), zeros);
    for (const part of this.#upTo(Math.max(settled, this.#written), base, bytes)) this.#add(part);
  }

  end(): WrittenFile {
    const [first, ...moreChunks] = this.#chunks;
    const firstChunk = moreChunks.length === 0 ? undefined : first;
    const digest = this.#fileHash === undefined ? (first?.digest ?? "") : `sha256:${this.#fileHash.digest("hex")}`;
    this.#fileHash = undefined;
    return { content: { digest, start: this.#start, end: this.#frames.offset, firstChunk }, moreChunks };
  }

  /** Writes what was held back: the rest of the file is written by somebody else, uncut. */
  giveUp(): void {
    const held = this.#seen - this.#written;
    this.#written = this.#seen;
    this.#chunker.reset();
    this.#frames.write(ZEROS.subarray(0, held));
  }

  /** What is to be written of the file up to a position: zeros that were held back, then a part of the bytes at hand. */
  #upTo(position: number, base: number, bytes: Uint8Array): Uint8Array[] {
    const zeros = Math.max(0, Math.min(position, base) - this.#written);
    const part = bytes.subarray(Math.max(0, this.#written - base), Math.max(0, position - base));
    this.#written = position;
    return [ZEROS.subarray(0, zeros), part].filter(({ length }) => length > 0);
  }

  #add(part: Uint8Array): void {
    this.#frames.write(part);
    this.#hash(part);
  }

  #endChunk(parts: readonly Uint8Array[], zeros: boolean): void {
    const [last] = parts.slice(-1);
    for (const part of parts.slice(0, -1)) this.#add(part);
    if (last === undefined) this.#frames.border();
    else this.#frames.writeLast(last);
    const chunk = {
      start: this.#chunkStart,
      offset: this.#chunkAt,
      size: this.#written - this.#chunkAt,
      digest: this.#chunkDigest(last),
      zeros,
    };
    if (!this.tooMany) this.#chunks.push(chunk);
    this.#chunkAt = this.#written;
    this.#chunkStart = this.#frames.offset;
  }

  /** Takes the rest of a chunk. */
  #chunkDigest(last: Uint8Array | undefined): string {
    const isWhole = last?.length === this.#size;
    if (isWhole && this.#fileHash === undefined) return `sha256:${hash("sha256", last, "hex")}`;
    const isFirst = this.#chunkAt === 0;
    if (last !== undefined && !isFirst && this.#chunkHash === undefined) {
      this.#fileHash?.update(last);
      return `sha256:${hash("sha256", last, "hex")}`;
    }
    if (last !== undefined) this.#hash(last);
    // The first chunk's digest is the whole file's so far.
    const digest = (isFirst ? this.#fileHash?.copy() : this.#chunkHash)?.digest("hex") ?? "";
    this.#chunkHash = undefined;
    return `sha256:${digest}`;
  }

  #hash(part: Uint8Array): void {
    (this.#fileHash ??= createHash("sha256")).update(part);
    if (this.#chunkAt > 0) (this.#chunkHash ??= createHash("sha256")).update(part);
  }
}
