/** The uncompressed tar of a stored layer as a stream that knows its digest when it has ended. */
import type { Decompressor } from "../codec/decompressors.ts";
import { VarveError } from "../errors/varve-error.ts";
import { Digester, type Digest, type DigestAlgorithm } from "../oci/digest.ts";

/**
 * An async iterable of tar bytes, each chunk lent until the next is asked for (who transfers it away may keep it); `diffId` may be asked for
 * once the iteration has ended.
 */
export class TarStream implements AsyncIterable<Uint8Array> {
  readonly #chunks: (stream: TarStream) => AsyncIterable<Uint8Array>;
  #diffId: Digest | undefined;

  /** `chunks` must call `ended` with the digest of all it yielded before it returns. */
  constructor(chunks: (stream: TarStream) => AsyncIterable<Uint8Array>) {
    this.#chunks = chunks;
  }

  ended(diffId: Digest): void {
    this.#diffId = diffId;
  }

  get diffId(): Digest {
    if (this.#diffId === undefined) throw new VarveError("INTERNAL", "the tar stream has not ended yet");
    return this.#diffId;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return this.#chunks(this)[Symbol.asyncIterator]();
  }
}

export interface TarStreamOptions {
  /** Of the DiffID. Default sha256. */
  readonly algorithm?: DigestAlgorithm;
  readonly signal: AbortSignal;
  /** What inflates gzip. Default: the decoder that is built in. */
  readonly decompressor?: Decompressor;
  /** Whether the bytes are the tar itself, whatever they begin with. Default: told by their magic. */
  readonly isTar?: boolean;
  /** The DiffID, where somebody else holds the same bytes to it: they are not hashed once more. Default: computed. */
  readonly vouched?: Digest;
}

/**
 * Decompresses `blob` (told by its magic) and hashes the tar on the way, in the caller's thread.
 * @param options.size of the blob, which says whether a program is worth its start
 */
export function tarStreamOf(
  blob: AsyncIterable<Uint8Array>,
  options: TarStreamOptions & { readonly size?: number },
): TarStream {
  const { algorithm, isTar = false, vouched } = options;
  return new TarStream(async function* (stream) {
    const digester = vouched === undefined ? new Digester(algorithm) : undefined;
    for await (const chunk of isTar ? blob : await decompressed(blob, options)) {
      digester?.update(chunk);
      yield chunk;
    }
    stream.ended(vouched ?? digester!.digest());
  });
}

async function decompressed(
  blob: AsyncIterable<Uint8Array>,
  { signal, decompressor = "builtin", size = 0 }: TarStreamOptions & { readonly size?: number },
): Promise<AsyncIterable<Uint8Array>> {
  // Imported here, because whoever only passes streams on has no use for it.
  const { decompress } = await import("../codec/decompress.ts");
  const gunzip =
    decompressor === "builtin"
      ? undefined
      : (await import("./decompressor.ts")).chooseGunzip(decompressor, size, { signal });
  return decompress(blob, { signal, lend: true, ...(gunzip !== undefined && { gunzip }) });
}
