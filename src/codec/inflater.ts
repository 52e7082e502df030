/**
 * One decompression engine of node:zlib, driven by hand: write a chunk, take what comes out, until the chunk is
 * digested. It works on a thread of libuv's pool, so the next output is made while the last one is being used.
 */
import { constants, createGunzip, createZstdDecompress, type Gunzip, type ZstdDecompress } from "node:zlib";
import { VarveError } from "../errors/varve-error.ts";

/** zstd windows up to 128 MiB: what `zstd -d` accepts without being asked, and RFC 8878 recommends at least 8 MiB. */
const WINDOW_LOG_MAX = 27;
/** 32 MiB, the window of the encoder that podman uses: for documents and frames, of which several are decoded at once beside a whole pull. */
export const CHUNKED_WINDOW_LOG_MAX = 25;

export interface InflaterOptions {
  /** zstd data that wants a larger window, 2 to the power of this, is refused. Default 27: 128 MiB. */
  readonly windowLogMax?: number;
}

export class Inflater implements Disposable {
  readonly #engine: Gunzip | ZstdDecompress;
  readonly #what: string;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.#wake();
  #failure: Error | undefined;
  #ended = false;
  #digesting = false;
  #wake: () => void = () => undefined;

  /** `chunkSize`: bytes of the largest output piece. */
  constructor(
    compression: "gzip" | "zstd",
    chunkSize: number,
    signal: AbortSignal | undefined,
    { windowLogMax = WINDOW_LOG_MAX }: InflaterOptions = {},
  ) {
    // A read-ahead mark of one byte: one piece waits while the consumer works, and pieces are never joined by copying.
    const options = { chunkSize, readableHighWaterMark: 1 };
    this.#what = compression;
    this.#engine =
      compression === "gzip"
        ? createGunzip(options)
        : createZstdDecompress({ ...options, params: { [constants.ZSTD_d_windowLogMax]: windowLogMax } });
    this.#engine.on("readable", () => this.#wake());
    this.#engine.on("end", () => {
      this.#ended = true;
      this.#wake();
    });
    this.#engine.on("error", (error) => {
      this.#failure ??= error;
      this.#wake();
    });
    this.#signal = signal;
    signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** The compressed data is over; the engine takes no more. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Input bytes that were used. Fewer than were written: the compressed data ended before them. */
  get used(): number {
    return this.#engine.bytesWritten;
  }

  /** Gives the chunk to the engine and yields its output. The chunk must not change until this is over. */
  async *digest(chunk: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
    this.#digesting = true;
    this.#engine.write(chunk, (error) => {
      this.#failure ??= error ?? undefined;
      this.#digesting = false;
      this.#wake();
    });
    yield* this.#output(() => !this.#digesting);
  }

  /** No more input: yields the rest. @throws COMPRESSION_INVALID when the compressed data is cut short */
  async *finish(): AsyncGenerator<Uint8Array, void, undefined> {
    if (!this.#ended) this.#engine.end();
    yield* this.#output(() => this.#ended);
  }

  async *#output(isDone: () => boolean): AsyncGenerator<Uint8Array, void, undefined> {
    for (;;) {
      this.#signal?.throwIfAborted();
      const piece = this.#engine.read() as Buffer | null;
      if (piece !== null) {
        yield piece;
        continue;
      }
      if (this.#failure !== undefined) throw this.#invalid(this.#failure);
      if (isDone()) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  #invalid(cause: Error): VarveError {
    return new VarveError("COMPRESSION_INVALID", `the ${this.#what} data is broken: ${cause.message}`, { cause });
  }

  /** Frees the engine's memory at once, or as soon as the pool's thread lets go of it. */
  [Symbol.dispose](): void {
    this.#signal?.removeEventListener("abort", this.#onAbort);
    this.#engine.destroy();
  }
}
