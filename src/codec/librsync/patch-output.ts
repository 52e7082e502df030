/** What a patch gathers before it is given out. */
const OUTPUT_BYTES = 1 << 20;
/** Up to so many bytes a loop takes less time than a call. */
const SHORT = 48;

/** Where copies are put, whoever takes them from there. */
export interface CopyOutput<Piece> {
  readonly room: number;
  /** The next bytes, to be filled by the caller; never more than there is room. */
  take(length: number): Uint8Array;
  /** Puts bytes `[from, to)` where that does not fill it, and says whether it did. */
  putAtOnce(bytes: Uint8Array, from: number, to: number): boolean;
  /** What is there, if anything; it is empty then. */
  rest(): Iterable<Piece>;
}

/** Never full between two calls. */
export class PatchOutput implements CopyOutput<Uint8Array> {
  readonly #bytes = new Uint8Array(OUTPUT_BYTES);
  #used = 0;

  get room(): number {
    return OUTPUT_BYTES - this.#used;
  }

  /** The next bytes, to be filled by the caller; never more than there is room. */
  take(length: number): Uint8Array {
    this.#used += length;
    return this.#bytes.subarray(this.#used - length, this.#used);
  }

  /** Puts bytes `[from, to)` where that does not fill it, and says whether it did. */
  putAtOnce(bytes: Uint8Array, from: number, to: number): boolean {
    const length = to - from;
    if (length >= OUTPUT_BYTES - this.#used) return false;
    if (length <= SHORT) {
      const into = this.#bytes;
      for (let at = this.#used, source = from; source < to; at++, source++) into[at] = bytes[source]!;
    } else this.#bytes.set(bytes.subarray(from, to), this.#used);
    this.#used += length;
    return true;
  }

  *put(bytes: Uint8Array, from: number, to: number): Generator<Uint8Array, void, undefined> {
    for (let at = from; at < to;) {
      const some = bytes.subarray(at, Math.min(to, at + this.room));
      this.take(some.length).set(some);
      at += some.length;
      if (this.room === 0) yield* this.rest();
    }
  }

  /** What is there, lent until the next call. */
  *rest(): Generator<Uint8Array, void, undefined> {
    if (this.#used > 0) yield this.#bytes.subarray(0, this.#used);
    this.#used = 0;
  }
}
