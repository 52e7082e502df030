/**
 * Small pieces of local files for one task. A layer has as many of them as it has small files, and the promises of a read cost
 * several times the read (85 µs of CPU for a file of its own, 29 µs for a piece of a file that is open; here 19 and 8), so they are
 * read at once, and together where they lie near each other in one file, as in the tar of another version of the layer.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { releaseBuffer } from "../sys/release-buffer.ts";
import type { Part } from "./gather.ts";
import type { LocalSegment } from "./segment.ts";

const SMALL_BYTES = 64 << 10;
const WINDOW_BYTES = 256 << 10;
/** Read over: a tar's padding and a header or a few. */
const GAP_BYTES = 4096;
/** So many reads go by before others get their turn. */
const READS = 128;
const FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export class SmallLocals implements Disposable {
  #file: { readonly path: string; readonly descriptor: number } | undefined;
  #buffer: Buffer | undefined;
  /** What of the file is in the buffer. */
  #start = 0;
  #end = 0;
  #reads = 0;

  /**
   * The bytes of the part at the index, which is a local one; valid until the next call. Undefined when it is not small, cannot be
   * read, or others should get their turn: it is then to be read the other way, which also tells what is wrong with it.
   */
  whole(parts: readonly Part[], index: number): Uint8Array | undefined {
    const segment = parts[index]!.segment as LocalSegment;
    const { path, start, length } = segment;
    if (length > SMALL_BYTES) return undefined;
    if (this.#file?.path !== path || start < this.#start || start + length > this.#end) {
      if (this.#reads++ === READS) {
        this.#reads = 0;
        return undefined;
      }
      try {
        this.#read(path, start, windowEnd(parts, index, segment));
      } catch {
        return undefined;
      }
      if (start + length > this.#end) return undefined;
    }
    return this.#buffer?.subarray(start - this.#start, start - this.#start + length);
  }

  [Symbol.dispose](): void {
    this.#close();
    // There are thousands of tasks, and V8 lets dead buffers pile up.
    if (this.#buffer !== undefined) releaseBuffer(this.#buffer);
    this.#buffer = undefined;
    this.#end = 0;
  }

  #close(): void {
    const file = this.#file;
    this.#file = undefined;
    if (file !== undefined) closeSync(file.descriptor);
  }

  /** Fills the buffer as far as the file goes. */
  #read(path: string, start: number, end: number): void {
    this.#start = this.#end = start;
    const { descriptor } = this.#open(path);
    this.#buffer ??= Buffer.allocUnsafeSlow(WINDOW_BYTES);
    while (this.#end < end) {
      const count = readSync(descriptor, this.#buffer, this.#end - start, end - this.#end, this.#end);
      if (count === 0) return;
      this.#end += count;
    }
  }

  #open(path: string): { readonly descriptor: number } {
    if (this.#file?.path === path) return this.#file;
    this.#close();
    const descriptor = openSync(path, FLAGS);
    this.#file = { path, descriptor };
    const stat = fstatSync(descriptor);
    if (stat.isFile() || stat.isBlockDevice()) return this.#file;
    this.#close();
    throw new Error(`${path} is neither a file nor a block device`);
  }
}

/** How far to read so that the parts behind this one that lie behind it in the same file are there too. */
function windowEnd(parts: readonly Part[], index: number, { path, start, length }: LocalSegment): number {
  let end = start + length;
  for (let next = index + 1; next < parts.length; next++) {
    const { segment } = parts[next]!;
    if (segment.kind !== "local") continue;
    const isNear = segment.path === path && segment.start >= end && segment.start - end <= GAP_BYTES;
    if (!isNear || segment.start + segment.length - start > WINDOW_BYTES) break;
    end = segment.start + segment.length;
  }
  return end;
}
