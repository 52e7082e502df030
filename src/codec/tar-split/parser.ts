/**
 * Reads a tar-split that is pushed, without a promise for each of its hundreds of thousands of lines. Unlike `readTarSplit` it lets a name come
 * twice and remembers none: for those who look each one up in a list of their own.
 */
import type { TarSplitEntry } from "./entry.ts";
import { invalid, parseLine } from "./parse-line.ts";

const NEWLINE = 0x0a;
/**
 * Bytes of one segment: the headers of a member, of which upstream reads no more than half as many, or a megabyte of what stands behind the last one. Who
 * writes what is to be read here keeps to it.
 */
export const MAX_SEGMENT_BYTES = 2 << 20;
/** In base64, with what is around it. */
const MAX_LINE_BYTES = MAX_SEGMENT_BYTES * 1.5;
/** Of no table of contents there are more than half as many. Who writes what is to be read here keeps to this too. */
export const MAX_MEMBERS = 999_000;
/** Two for each member, and what stands behind the last one. */
const MAX_LINES = 2_000_000;

/** `write` the (uncompressed) bytes in pieces of any size, then `end`. Entries own their bytes. */
export class TarSplitParser {
  readonly #onEntry: (entry: TarSplitEntry) => void;
  // A line that the end of a piece cuts.
  #carry: Buffer[] = [];
  #carried = 0;
  #number = 0;
  #lastPosition = -1;

  constructor(onEntry: (entry: TarSplitEntry) => void) {
    this.#onEntry = onEntry;
  }

  /** @throws TAR_SPLIT_INVALID, and what `onEntry` throws */
  write(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let from = 0;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, from)) {
      this.#line(bytes.subarray(from, at));
      from = at + 1;
    }
    if (from === bytes.length) return;
    // The piece is only lent.
    this.#carry.push(Buffer.from(bytes.subarray(from)));
    this.#carried += bytes.length - from;
    if (this.#carried > MAX_LINE_BYTES) throw invalid(this.#number + 1, `passes the limit of ${MAX_LINE_BYTES} bytes`);
  }

  /** @throws TAR_SPLIT_INVALID */
  end(): void {
    if (this.#carried > 0) this.#line(Buffer.alloc(0));
  }

  #line(part: Buffer): void {
    const line = this.#carried === 0 ? part : Buffer.concat([...this.#carry, part]);
    this.#carry = [];
    this.#carried = 0;
    if (++this.#number > MAX_LINES) throw invalid(this.#number, `passes the limit of ${MAX_LINES} lines`);
    if (line.length === 0) return;
    const { position, entry } = parseLine(line, this.#number);
    if (position <= this.#lastPosition) throw invalid(this.#number, "is out of order");
    this.#lastPosition = position;
    this.#onEntry(entry);
  }
}
