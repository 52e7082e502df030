/** A zstd-compressed document that came whole and can be read any number of times, never as more bytes than was said. */
import { decompress } from "../codec/decompress.ts";
import { CHUNKED_WINDOW_LOG_MAX } from "../codec/inflater.ts";
import { VarveError } from "../errors/varve-error.ts";

/** Bytes of a piece: small beside what is made of it while the next is waited for. */
const PIECE_BYTES = 256 * 1024;

export class PackedDocument {
  /** As it lay in the blob. */
  readonly bytes: Uint8Array;
  readonly #what: string;
  readonly #size: number;

  /** @param size bytes that it must decompress to, exactly */
  constructor(what: string, bytes: Uint8Array, size: number) {
    this.#what = what;
    this.bytes = bytes;
    this.#size = size;
  }

  /** @throws COMPRESSION_INVALID; TOC_INVALID when it has another size */
  async *open(signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
    let left = this.#size;
    const options = { compression: "zstd", chunkSize: PIECE_BYTES, windowLogMax: CHUNKED_WINDOW_LOG_MAX } as const;
    for await (const piece of decompress(once(this.bytes), { ...options, ...(signal && { signal }) })) {
      left -= piece.length;
      if (left < 0) throw this.#wrongSize("more");
      yield piece;
    }
    if (left > 0) throw this.#wrongSize("fewer");
  }

  #wrongSize(more: "more" | "fewer"): VarveError {
    return new VarveError(
      "TOC_INVALID",
      `the layer's ${this.#what} has ${more} than the ${this.#size} bytes it should have`,
    );
  }
}

/** Bytes that are at hand, as a source. */
export async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield bytes;
}
