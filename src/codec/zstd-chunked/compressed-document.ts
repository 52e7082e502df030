/**
 * A document that is compressed while it is being written, so that only its compressed form is ever whole in memory: the table of contents and
 * the tar-split of a layer of 100,000 files have 200 MB between them, compressed a twentieth of that. One frame of zstd.
 */
import { once } from "node:events";
import { constants, createZstdCompress, type ZstdCompress } from "node:zlib";
import { writeTo } from "../compress.ts";

const CHUNK = 64 * 1024;

export class CompressedDocument implements Disposable {
  readonly #codec: ZstdCompress;
  readonly #chunks: Uint8Array[] = [];
  #waiting: Uint8Array[] = [];
  #size = 0;
  #compressedSize = 0;

  constructor(level: number) {
    this.#codec = createZstdCompress({
      chunkSize: CHUNK,
      params: { [constants.ZSTD_c_compressionLevel]: level },
    });
    this.#codec.on("data", (chunk: Uint8Array) => {
      this.#compressedSize += chunk.length;
      this.#chunks.push(chunk);
    });
    // Whoever writes hears of it.
    this.#codec.on("error", () => undefined);
  }

  /** Bytes so far, not compressed. */
  get size(): number {
    return this.#size;
  }

  /** Bytes that have come out so far. */
  get compressedSize(): number {
    return this.#compressedSize;
  }

  /** Takes bytes, which belong to it from then on. */
  add(bytes: Uint8Array): void {
    this.#size += bytes.length;
    this.#waiting.push(bytes);
  }

  /** Settles when all that was added is compressed. */
  async settle(): Promise<void> {
    for (const bytes of this.#waiting.splice(0)) await writeTo(this.#codec, bytes);
  }

  /** All of it, compressed. */
  async end(): Promise<Buffer> {
    await this.settle();
    const ended = once(this.#codec, "end");
    this.#codec.end();
    await ended;
    return Buffer.concat(this.#chunks.splice(0), this.#compressedSize);
  }

  [Symbol.dispose](): void {
    this.#codec.destroy();
    this.#chunks.length = 0;
    this.#waiting = [];
  }
}
