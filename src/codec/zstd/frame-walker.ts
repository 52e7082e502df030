/**
 * Follows the borders of zstd frames in a compressed stream (RFC 8878 §3) without decompressing. Node's decoder reads
 * all frames, but takes bytes after the last one for nothing: junk, or a frame cut within its magic, ends in silence.
 */
import { VarveError } from "../../errors/varve-error.ts";

const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_ID_BYTES = [0, 1, 2, 4];
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const RESERVED_BLOCK = 3;
const RLE_BLOCK = 1;

/** Whether the four bytes open a frame or a skippable frame. */
export function isZstdMagic(magic: number): boolean {
  return magic === FRAME_MAGIC || (magic & 0xfffffff0) >>> 0 === SKIPPABLE_MAGIC;
}

type Step = "magic" | "skippable-size" | "descriptor" | "block";

/** Give it the stream with `write`, then call `end`. */
export class ZstdFrameWalker {
  #step: Step = "magic";
  readonly #field = Buffer.alloc(4);
  #have = 0;
  #need = 4;
  #skip = 0;
  #checksumBytes = 0;
  #offset = 0;

  /** @throws COMPRESSION_INVALID where a frame should begin and does not, or a block is of no known type */
  write(chunk: Uint8Array): void {
    for (let at = 0; at < chunk.length;) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at);
        this.#skip -= skipped;
        this.#offset += skipped;
        at += skipped;
        continue;
      }
      this.#field[this.#have++] = chunk[at++] ?? 0;
      this.#offset++;
      if (this.#have === this.#need) this.#take();
    }
  }

  /** @throws COMPRESSION_INVALID when the stream ends within a frame */
  end(): void {
    if (this.#step !== "magic" || this.#have > 0 || this.#skip > 0) {
      throw new VarveError("COMPRESSION_INVALID", `the zstd stream ends within a frame, after ${this.#offset} bytes`);
    }
  }

  #await(step: Step, bytes: number): void {
    this.#step = step;
    this.#need = bytes;
    this.#have = 0;
  }

  #take(): void {
    switch (this.#step) {
      case "magic":
        this.#takeMagic(this.#field.readUInt32LE(0));
        break;
      case "skippable-size":
        this.#skip = this.#field.readUInt32LE(0);
        this.#await("magic", 4);
        break;
      case "descriptor":
        this.#takeDescriptor(this.#field[0] ?? 0);
        break;
      case "block":
        this.#takeBlock(this.#field.readUIntLE(0, 3));
    }
  }

  #takeMagic(magic: number): void {
    if (!isZstdMagic(magic)) {
      const where = `${this.#offset - 4} bytes into the stream`;
      throw new VarveError("COMPRESSION_INVALID", `no zstd frame begins ${where}, where one should`);
    }
    if (magic === FRAME_MAGIC) this.#await("descriptor", 1);
    else this.#await("skippable-size", 4);
  }

  #takeDescriptor(descriptor: number): void {
    const singleSegment = (descriptor & 0x20) !== 0;
    const contentSize = CONTENT_SIZE_BYTES[descriptor >>> 6] ?? 0;
    this.#checksumBytes = (descriptor & 0x04) === 0 ? 0 : 4;
    this.#skip =
      (singleSegment ? Math.max(1, contentSize) : 1 + contentSize) + (DICTIONARY_ID_BYTES[descriptor & 3] ?? 0);
    this.#await("block", 3);
  }

  #takeBlock(header: number): void {
    const type = (header >>> 1) & 3;
    if (type === RESERVED_BLOCK) throw new VarveError("COMPRESSION_INVALID", "a zstd block is of no known type");
    this.#skip = type === RLE_BLOCK ? 1 : header >>> 3;
    const isLast = (header & 1) === 1;
    if (isLast) {
      this.#skip += this.#checksumBytes;
      this.#await("magic", 4);
    } else this.#await("block", 3);
  }
}
