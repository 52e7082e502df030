/**
 * Encodes to Apple LZ4 (formats "tart" §3) as Apple's own writer does it: blocks of 64 KiB, linked to the 64 KiB before them, stored where
 * encoding saves nothing. The bytes are not the same as Apple's, but always the same for the same input.
 */
import { instantiate, memoryOf, type Memory, type NumberFunction } from "../wasm/module.ts";
import { blockEncoder, ENCODE_OVERSHOOT, TABLE_BYTES } from "../lz4/encode-block.ts";
import { largestEncoding, WINDOW_BYTES } from "../lz4/sizes.ts";
import {
  BLOCK_BYTES,
  COMPRESSED_HEADER_BYTES,
  COMPRESSED_MAGIC,
  END_MAGIC,
  MAGIC_BYTES,
  STORED_HEADER_BYTES,
  STORED_MAGIC,
} from "./format.ts";

/** Blocks between two moves of the window, each of which costs as much as copying one. */
const ROOM_BLOCKS = 8;

const OUTPUT = TABLE_BYTES;
const WINDOW = OUTPUT + COMPRESSED_HEADER_BYTES + largestEncoding(BLOCK_BYTES) + ENCODE_OVERSHOOT;
const START = WINDOW + WINDOW_BYTES;
const END = START + ROOM_BLOCKS * BLOCK_BYTES;

/** Give it all bytes with `write`, then call `end`. */
export class AppleLz4Encoder {
  readonly #memory: Memory = memoryOf(END + ENCODE_OVERSHOOT);
  readonly #encode: NumberFunction;
  readonly #heap: Uint8Array;
  readonly #view: DataView;
  readonly #table: Uint32Array;
  /** Addresses of the first byte that may be reached, of the block's first, and behind the last byte that came. */
  #oldest = START;
  #block = START;
  #end = START;
  #size = 0;

  constructor() {
    const { buffer } = this.#memory;
    this.#encode = instantiate(blockEncoder(), this.#memory);
    this.#heap = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#table = new Uint32Array(buffer, 0, TABLE_BYTES / 4);
  }

  /** Bytes that were given out. */
  get size(): number {
    return this.#size;
  }

  /** Whole blocks of what came so far. Each piece is lent until the next is asked for; all must be taken before anything else is called. */
  *write(chunk: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < chunk.length;) {
      const bytes = chunk.subarray(at, at + BLOCK_BYTES - (this.#end - this.#block));
      this.#heap.set(bytes, this.#end);
      this.#end += bytes.length;
      at += bytes.length;
      if (this.#end - this.#block === BLOCK_BYTES) yield this.#encodeBlock();
    }
  }

  /**
   * Makes this a place from where decoding can begin: gives out what came so far, and lets nothing refer to it. The pieces are lent as those of
   * `write` are.
   */
  *cut(): Generator<Uint8Array, void, undefined> {
    if (this.#end > this.#block) yield this.#encodeBlock();
    this.#oldest = this.#end;
  }

  /** The rest, and the stream's end. The pieces are lent as those of `write` are. */
  *end(): Generator<Uint8Array, void, undefined> {
    yield* this.cut();
    this.#view.setUint32(OUTPUT, END_MAGIC, true);
    yield this.#give(MAGIC_BYTES);
  }

  #encodeBlock(): Uint8Array {
    const size = this.#end - this.#block;
    const body = OUTPUT + COMPRESSED_HEADER_BYTES;
    const encoded = this.#encode(this.#block, this.#end, body, this.#oldest) - body;
    const isSmaller = COMPRESSED_HEADER_BYTES + encoded < STORED_HEADER_BYTES + size;
    this.#view.setUint32(OUTPUT, isSmaller ? COMPRESSED_MAGIC : STORED_MAGIC, true);
    this.#view.setUint32(OUTPUT + 4, size, true);
    if (isSmaller) this.#view.setUint32(OUTPUT + 8, encoded, true);
    else this.#heap.copyWithin(OUTPUT + STORED_HEADER_BYTES, this.#block, this.#end);
    this.#block = this.#end;
    if (END - this.#end < BLOCK_BYTES) this.#moveWindow();
    return this.#give(isSmaller ? COMPRESSED_HEADER_BYTES + encoded : STORED_HEADER_BYTES + size);
  }

  #give(bytes: number): Uint8Array {
    this.#size += bytes;
    return this.#heap.subarray(OUTPUT, OUTPUT + bytes);
  }

  /** Moves the last 64 KiB before the place where the room begins, and what the table knows of them too. */
  #moveWindow(): void {
    const by = this.#end - START;
    this.#heap.copyWithin(WINDOW, this.#end - WINDOW_BYTES, this.#end);
    this.#block = this.#end = START;
    this.#oldest = Math.max(WINDOW, this.#oldest - by);
    const table = this.#table;
    for (let slot = 0; slot < table.length; slot++) {
      const address = table[slot]!;
      table[slot] = address < WINDOW + by ? 0 : address - by;
    }
  }
}

/**
 * What the source encodes to, in pieces that are lent until the next is asked for.
 * @param source whose pieces are only read, before the next is asked for
 */
export async function* encodeAppleLz4(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const encoder = new AppleLz4Encoder();
  for await (const chunk of source) yield* encoder.write(chunk);
  yield* encoder.end();
}
