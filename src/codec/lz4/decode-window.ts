/**
 * The memory of a decoder: room for one encoded block, the last 64 KiB of what came out, and room behind them for what comes next. It lies
 * in the memory of the program that decodes, which grows only for blocks of more than 64 KiB.
 */
import { growTo, instantiate, memoryOf, type Memory, type NumberFunction } from "../wasm/module.ts";
import { blockDecoder, OVERSHOOT } from "./decode-block.ts";
import { largestEncoding, WINDOW_BYTES } from "./sizes.ts";

/** So much comes out at once: four of the blocks that are common, which stay in the processor's cache until they are used. */
const ROOM_BYTES = 4 * WINDOW_BYTES;

export class DecodeWindow {
  readonly #memory: Memory;
  readonly #decode: NumberFunction;
  #heap: Uint8Array;
  /** Bytes that an encoded block may have, from address 0 on. */
  #inputBytes = largestEncoding(WINDOW_BYTES);
  #roomBytes = ROOM_BYTES;
  /** Where the room begins; the window lies before it. */
  #start: number;
  /** Addresses of the first byte that may be reached, of the first that was not taken yet, and behind the last. */
  #oldest: number;
  #taken: number;
  #end: number;

  constructor() {
    this.#start = this.#inputBytes + OVERSHOOT + WINDOW_BYTES;
    this.#memory = memoryOf(this.#start + this.#roomBytes + OVERSHOOT);
    this.#heap = new Uint8Array(this.#memory.buffer);
    this.#decode = instantiate(blockDecoder(), this.#memory);
    this.#oldest = this.#taken = this.#end = this.#start;
  }

  /** Bytes that came out and were not taken yet. */
  get waiting(): number {
    return this.#end - this.#taken;
  }

  /** Whether a block of the size has room without anything being moved. */
  hasRoom(bytes: number): boolean {
    return bytes <= this.#start + this.#roomBytes - this.#end;
  }

  /** What came out since the last time, lent until anything else is called. */
  take(): Uint8Array {
    const piece = this.#heap.subarray(this.#taken, this.#end);
    this.#taken = this.#end;
    return piece;
  }

  /** Forgets what came out: nothing reaches back beyond here. */
  forget(): void {
    this.#oldest = this.#end;
  }

  /** Makes room for a block of so many bytes. Everything must have been taken. */
  makeRoom(decoded: number, encoded = 0): void {
    if (decoded > this.#roomBytes || encoded > this.#inputBytes) this.#grow(decoded, encoded);
    else if (!this.hasRoom(decoded)) this.#moveTo(this.#start);
  }

  /** Puts a part of an encoded block into its place. */
  putEncoded(bytes: Uint8Array, at: number): void {
    this.#heap.set(bytes, at);
  }

  /** Takes bytes as they are. There must be room. */
  append(bytes: Uint8Array): void {
    this.#heap.set(bytes, this.#end);
    this.#end += bytes.length;
  }

  /**
   * Decodes the block that was put into its place, to at most so many bytes. There must be room.
   * @returns the bytes that came out, or minus the number of the block's flaw
   */
  decodeBlock(encoded: number, most: number): number {
    const result = this.#decode(0, encoded, this.#end, this.#end + most, this.#oldest);
    if (result > 0) this.#end += result;
    return result;
  }

  #grow(decoded: number, encoded: number): void {
    this.#roomBytes = Math.max(this.#roomBytes, decoded);
    this.#inputBytes = Math.max(this.#inputBytes, encoded);
    const start = this.#inputBytes + OVERSHOOT + WINDOW_BYTES;
    growTo(this.#memory, start + this.#roomBytes + OVERSHOOT);
    this.#heap = new Uint8Array(this.#memory.buffer);
    this.#moveTo(start);
  }

  /** Moves the window before the place where the room begins. */
  #moveTo(start: number): void {
    const kept = Math.min(WINDOW_BYTES, this.#end - this.#oldest);
    this.#heap.copyWithin(start - kept, this.#end - kept, this.#end);
    this.#start = this.#taken = this.#end = start;
    this.#oldest = start - kept;
  }
}
