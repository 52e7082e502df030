/** Takes exact amounts from a stream of chunks of any size. */
import { releaseBuffer } from "../sys/release-buffer.ts";
import { AbortableIterator } from "./abortable-iterator.ts";

export class ChunkReader {
  readonly #chunks: AbortableIterator<Uint8Array>;
  /** As the source gave it; what of it was not read yet is in {@link #rest}. */
  #chunk: Uint8Array | undefined;
  #rest: Uint8Array | undefined;

  /** @param source its chunks belong to this reader, which gives their memory back when they are used up */
  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#chunks = new AbortableIterator(source, signal);
  }

  /** At least one and at most `limit` bytes, valid until the next call; undefined at the end of the stream. */
  async read(limit: number): Promise<Uint8Array | undefined> {
    const from = this.#rest ?? (await this.#next());
    this.#rest = from !== undefined && from.length > limit ? from.subarray(limit) : undefined;
    return this.#rest === undefined ? from : from?.subarray(0, limit);
  }

  /** Leaves the stream; never waits for it. */
  close(): void {
    this.#release();
    this.#chunks.close();
  }

  async #next(): Promise<Uint8Array | undefined> {
    do {
      this.#release();
      this.#chunk = await this.#chunks.next();
    } while (this.#chunk?.length === 0);
    return this.#chunk;
  }

  #release(): void {
    if (this.#chunk !== undefined) releaseBuffer(this.#chunk);
    this.#chunk = undefined;
  }
}
