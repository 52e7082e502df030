/** Gathers small pieces into chunks of one size, each in memory of its own, so that whoever gets one may keep it. */
const CHUNK = 1024 * 1024;

export class Chunks {
  #buffer: Buffer | undefined;
  #used = 0;

  /** Copies the bytes. @returns the chunks that became full */
  *add(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    for (let at = 0; at < bytes.byteLength;) {
      const space = this.space();
      const piece = bytes.subarray(at, at + space.byteLength);
      space.set(piece);
      at += piece.byteLength;
      yield* this.filled(piece.byteLength);
    }
  }

  /** Where the next bytes go: at least one. {@link filled} says how many were put there. */
  space(): Buffer {
    this.#buffer ??= Buffer.allocUnsafeSlow(CHUNK);
    return this.#buffer.subarray(this.#used);
  }

  *filled(bytes: number): Generator<Uint8Array, void, undefined> {
    this.#used += bytes;
    if (this.#used === CHUNK) yield* this.rest();
  }

  /** What was not enough for a chunk. */
  *rest(): Generator<Uint8Array, void, undefined> {
    if (this.#buffer === undefined || this.#used === 0) return;
    const full = this.#buffer.subarray(0, this.#used);
    this.#buffer = undefined;
    this.#used = 0;
    yield full;
  }
}
