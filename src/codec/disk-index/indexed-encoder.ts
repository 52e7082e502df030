/**
 * Encodes a chunk of a disk to Apple LZ4 such that each piece can be decoded alone, and notes where. Whoever knows nothing of pieces reads it as
 * any other stream; it is a few percent larger than one whose blocks refer to those before them (bench "disk-index").
 */
import { hash } from "node:crypto";
import { AppleLz4Encoder } from "../apple-lz4/encoder.ts";
import { ChunkPieces } from "./chunk-pieces.ts";
import { DiskChunker, type DiskPiece } from "./disk-chunker.ts";

const ZEROS = new Uint8Array(64 << 10);

/** Give it all bytes of the chunk, then call `end`. The same bytes at the same offset come out the same. */
export class IndexedEncoder {
  readonly pieces = new ChunkPieces();
  readonly #chunker: DiskChunker;
  readonly #encoder = new AppleLz4Encoder();

  /** @param options.offset of the chunk's first byte in its disk */
  constructor({ offset }: { readonly offset: number }) {
    this.#chunker = new DiskChunker(offset);
  }

  /** Bytes that were given out. */
  get size(): number {
    return this.#encoder.size;
  }

  /** Blocks of what came so far. Each is lent until the next is asked for; all must be taken before anything else is called. */
  *write(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    yield* this.#encode(this.#chunker.write(bytes));
  }

  /** As `write` of so many zeros, which are not looked at. */
  *skip(length: number): Generator<Uint8Array, void, undefined> {
    yield* this.#encode(this.#chunker.skip(length));
  }

  /** The rest, and the stream's end; then `pieces` has all. */
  *end(): Generator<Uint8Array, void, undefined> {
    yield* this.#encode(this.#chunker.end());
    yield* this.#encoder.end();
  }

  *#encode(pieces: Iterable<DiskPiece>): Generator<Uint8Array, void, undefined> {
    for (const { size, bytes } of pieces) {
      const before = this.#encoder.size;
      const digest = bytes && hash("sha256", bytes, "buffer");
      if (bytes !== undefined) yield* this.#encoder.write(bytes);
      else for (let left = size; left > 0; left -= ZEROS.length) yield* this.#encoder.write(ZEROS.subarray(0, left));
      yield* this.#encoder.cut();
      this.pieces.push(size, this.#encoder.size - before, digest);
    }
  }
}
