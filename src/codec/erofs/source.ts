/** Where an index is read from, and a bounded view of it. */
import { damaged } from "./fault.ts";

/** A file, say. */
export interface IndexSource {
  /** Bytes. */
  readonly size: number;
  /** Bytes from `position` on; fewer than `length` only at the end. They are looked at until the next call. */
  read(position: number, length: number): Uint8Array;
}

/** Up to this size an index is read at once. */
const WHOLE_BYTES = 32 * 1024 * 1024;
const WINDOW_BYTES = 64 * 1024;
const MAX_WINDOWS = 64;
const ALIGNMENT = 512;

interface Window {
  readonly start: number;
  readonly end: number;
  readonly bytes: Buffer;
  readonly view: DataView;
}

/** Reads through windows, of which the last few are kept: what belongs together lies together in an index. */
export class IndexBytes {
  readonly size: number;
  readonly #source: IndexSource;
  readonly #windowBytes: number;
  #windows: Window[] = [];
  #last: Window = { start: 0, end: 0, bytes: Buffer.alloc(0), view: new DataView(new ArrayBuffer(0)) };

  constructor(source: IndexSource | Uint8Array) {
    this.#source = source instanceof Uint8Array ? wholeSource(source) : source;
    this.size = this.#source.size;
    this.#windowBytes = source instanceof Uint8Array || this.size <= WHOLE_BYTES ? this.size : WINDOW_BYTES;
  }

  /** The bytes that `seek` has made readable, until the next call of it. */
  get bytes(): Buffer {
    return this.#last.bytes;
  }

  get view(): DataView {
    return this.#last.view;
  }

  /**
   * Makes `length` bytes readable; returns where they begin in `bytes` and `view`.
   * @throws INDEX_INVALID when the index has none there
   */
  seek(position: number, length: number): number {
    const { start, end } = this.#last;
    if (position >= start && position + length <= end) return position - start;
    this.#last = this.#find(position, position + length) ?? this.#load(position, length);
    return position - this.#last.start;
  }

  #find(from: number, to: number): Window | undefined {
    return this.#windows.find(({ start, end }) => from >= start && to <= end);
  }

  #load(position: number, length: number): Window {
    if (!(position >= 0 && position + length <= this.size)) throw damaged("something lies beyond its end", position);
    const start = this.#windowBytes === this.size ? 0 : position - (position % ALIGNMENT);
    const wanted = Math.min(this.size - start, Math.max(this.#windowBytes, position + length - start));
    const read = this.#source.read(start, wanted);
    if (read.length < wanted) throw damaged("it is shorter than it was", start + read.length);
    // A source may use the same memory for each read.
    const bytes = this.#windowBytes === this.size ? asBuffer(read) : Buffer.from(read);
    const view = new DataView(bytes.buffer, bytes.byteOffset, wanted);
    const window = { start, end: start + wanted, bytes, view };
    this.#windows = [window, ...this.#windows.slice(0, MAX_WINDOWS - 1)];
    return window;
  }
}

function wholeSource(bytes: Uint8Array): IndexSource {
  return { size: bytes.length, read: (position, length) => bytes.subarray(position, position + length) };
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
