/** Takes exact amounts from a stream of chunks of any size. */
import { AbortableIterator } from "./abortable-iterator.ts";

export class ChunkReader {
  readonly #chunks: AbortableIterator<Uint8Array>;
  #rest: Uint8Array | undefined;

  constructor(source: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    this.#chunks = new AbortableIterator(source, signal);
  }

  /** At least one and at most `limit` bytes, valid until the next call; undefined at the end of the stream. */
  async read(limit: number): Promise<Uint8Array | undefined> {
    let chunk = this.#rest ?? (await this.#chunks.next());
    while (chunk?.length === 0) chunk = await this.#chunks.next();
    this.#rest = chunk !== undefined && chunk.length > limit ? chunk.subarray(limit) : undefined;
    return this.#rest === undefined ? chunk : chunk?.subarray(0, limit);
  }

  /** Leaves the stream; never waits for it. */
  close(): void {
    this.#chunks.close();
  }
}
