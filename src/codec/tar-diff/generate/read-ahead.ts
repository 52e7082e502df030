/** Reads a tar mostly from its start to its end: small files that follow each other come with one read, for a read costs more than what is done with most of them. */
import type { Base } from "../../librsync/base.ts";

const AHEAD_BYTES = 512 << 10;

export class ReadAhead {
  readonly tar: Base;
  readonly #buffer: Buffer;
  #start = 0;
  #end = 0;

  constructor(tar: Base) {
    this.tar = tar;
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(AHEAD_BYTES, Math.max(1, tar.size)));
  }

  /** The next bytes from `position` on, which the tar has, at least one and at most `length`: lent until the next call. @throws what the tar throws */
  async next(position: number, length: number): Promise<Uint8Array> {
    if (
      position < this.#start ||
      position >= this.#end ||
      (position + length > this.#end && length <= AHEAD_BYTES / 4)
    ) {
      this.#end = this.#start = position;
      const bytes = Math.min(this.#buffer.length, this.tar.size - position);
      await this.tar.read(this.#buffer.subarray(0, bytes), position);
      this.#end = position + bytes;
    }
    return this.#buffer.subarray(position - this.#start, Math.min(this.#end, position + length) - this.#start);
  }

  /** Fills all of `into`. @throws what the tar throws */
  async read(into: Uint8Array, position: number): Promise<void> {
    if (into.length >= AHEAD_BYTES) return this.tar.read(into, position);
    for (let done = 0; done < into.length;) {
      const some = await this.next(position + done, into.length - done);
      into.set(some, done);
      done += some.length;
    }
  }
}
