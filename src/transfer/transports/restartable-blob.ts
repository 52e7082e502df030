/** A blob of a source on its way into a sink, which may be one that has to send a part again, as uploads that broke off. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { BlobBytes, ImageSource } from "./types.ts";

export interface RestartableOptions {
  readonly signal: AbortSignal;
  /** Told of the byte that comes next: forwards with each chunk that was taken, back with each new beginning. */
  readonly onPosition: (position: number) => void;
}

export class RestartableBlob implements BlobBytes {
  readonly #source: ImageSource;
  readonly #blob: Descriptor;
  readonly #options: RestartableOptions;

  constructor(source: ImageSource, blob: Descriptor, options: RestartableOptions) {
    this.#source = source;
    this.#blob = blob;
    this.#options = options;
  }

  /** All of it, held to the descriptor by the source. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#told(0, this.#source.blob(this.#blob, this.#options.signal));
  }

  /** Not held to anything: only who has hashed what comes before can say whether it is right. */
  from(start: number): AsyncGenerator<Uint8Array, void, undefined> {
    return this.#told(start, readFrom(this.#source, this.#blob, start, this.#options.signal));
  }

  async *#told(start: number, bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
    const { signal, onPosition } = this.#options;
    let at = start;
    onPosition(at);
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      const { length } = chunk;
      yield chunk;
      at += length;
      onPosition(at);
    }
  }
}

function readFrom(
  source: ImageSource,
  blob: Descriptor,
  start: number,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  return source.blobFrom?.(blob, start, signal) ?? dropUntil(start, source.blob(blob, signal));
}

/** The rest of a stream that can only be read from its beginning. */
export async function* dropUntil(
  start: number,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = 0;
  for await (const chunk of bytes) {
    const end = at + chunk.length;
    if (end > start) yield at < start ? chunk.subarray(start - at) : chunk;
    at = end;
  }
}
