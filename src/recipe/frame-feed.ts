/**
 * The compressed bytes that are wanted of a stretch of a blob, without what lies between them. A trip to the decoder costs as
 * much as decoding some tens of kilobytes, so small frames are put together until a trip is worth it.
 */
import type { ByteRange } from "../store/types.ts";
import type { BlobStretch } from "./blob-stretch.ts";

const FEED_BYTES = 128 << 10;

export class FrameFeed {
  readonly #stretch: BlobStretch;
  readonly #end: number;
  /** Place in the blob of the first byte of `#chunk`. */
  #at: number;
  /** Read from the stretch and not used yet. */
  #chunk: Uint8Array = new Uint8Array();

  /** @param stretch of the bytes `[start, end)` of a blob */
  constructor(stretch: BlobStretch, start: number, end: number) {
    this.#stretch = stretch;
    this.#at = start;
    this.#end = end;
  }

  /**
   * The bytes of the ranges, which must be in the order of the blob and behind what was taken before. Each piece is valid
   * until the next one is asked for. They are copies in memory of their own, since a decoder that is given up may go on
   * reading for a while when the stretch has taken its memory back, or the next decoder has begun.
   * @param total bytes of all ranges
   * @throws what the stretch throws, when all that came before was taken: it need not be fetched again
   */
  async *take(ranges: Iterable<ByteRange>, total: number): AsyncGenerator<Uint8Array, void, undefined> {
    const buffer = Buffer.allocUnsafeSlow(Math.min(total, FEED_BYTES));
    let filled = 0;
    try {
      for (const { start, end } of ranges) {
        while (this.#at < end) {
          if (this.#chunk.length === 0) this.#chunk = await this.#stretch.read(this.#end - this.#at);
          if (this.#at < start) {
            this.#use(Math.min(this.#chunk.length, start - this.#at));
            continue;
          }
          const taken = Math.min(this.#chunk.length, end - this.#at, buffer.length - filled);
          buffer.set(this.#chunk.subarray(0, taken), filled);
          filled += taken;
          this.#use(taken);
          if (filled < buffer.length) continue;
          yield buffer;
          filled = 0;
        }
      }
    } catch (error) {
      if (filled > 0) yield buffer.subarray(0, filled);
      throw error;
    }
    if (filled > 0) yield buffer.subarray(0, filled);
  }

  /** Reads over what is left, so that the stretch can end properly. */
  async finish(): Promise<void> {
    this.#use(this.#chunk.length);
    while (this.#at < this.#end) this.#at += (await this.#stretch.read(this.#end - this.#at)).length;
  }

  #use(bytes: number): void {
    this.#chunk = this.#chunk.subarray(bytes);
    this.#at += bytes;
  }
}
