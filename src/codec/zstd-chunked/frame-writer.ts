/**
 * The frames of a zstd:chunked blob, one after the other (formats "zstd-chunked" §1.2): what is written between two borders is compressed by
 * itself. Borders come where headers and payloads meet and where files are cut. What is longer than 1 MiB is cut into several frames, which
 * costs next to nothing and keeps memory bounded: headers of a million empty members, or a file that is nowhere cut.
 */
import { FrameCompressor } from "../zstd/frame-compressor.ts";

const MOST = 1 << 20;

export class FrameWriter implements Disposable {
  readonly #compressor: FrameCompressor;
  readonly #emit: (frame: Uint8Array) => void;
  #held = Buffer.alloc(0);
  #filled = 0;
  #offset = 0;

  /** `emit` is lent each frame for the time of the call. */
  constructor(level: number, emit: (frame: Uint8Array) => void) {
    this.#compressor = new FrameCompressor({ level });
    this.#emit = emit;
  }

  /** Bytes of the blob so far. */
  get offset(): number {
    return this.#offset;
  }

  /** Bytes of content whose frame is still open. */
  get open(): number {
    return this.#filled;
  }

  /** Takes content, which is only lent. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + MOST - this.#filled);
      this.#hold(part);
      at += part.length;
      if (this.#filled === MOST) this.border();
    }
  }

  /** Takes content that ends at a border. The same as `write` and `border`, without copying where that can be. */
  writeLast(bytes: Uint8Array): void {
    if (this.#filled === 0 && bytes.length <= MOST) {
      this.#frame(bytes);
      return;
    }
    this.write(bytes);
    this.border();
  }

  /** Ends the open frame; there never is one without content. */
  border(): void {
    const length = this.#filled;
    this.#filled = 0;
    this.#frame(this.#held.subarray(0, length));
  }

  /** Takes bytes that are frames already. */
  append(frames: Uint8Array): void {
    this.#emit(frames);
    this.#offset += frames.length;
  }

  [Symbol.dispose](): void {
    this.#compressor[Symbol.dispose]();
    this.#held = Buffer.alloc(0);
  }

  #frame(content: Uint8Array): void {
    if (content.length > 0) this.append(this.#compressor.compress(content));
  }

  #hold(part: Uint8Array): void {
    const length = this.#filled + part.length;
    if (length > this.#held.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(MOST, Math.max(length, 2 * this.#held.length, 4096)));
      grown.set(this.#held.subarray(0, this.#filled));
      this.#held = grown;
    }
    this.#held.set(part, this.#filled);
    this.#filled = length;
  }
}
