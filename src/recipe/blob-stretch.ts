/**
 * Stretches of blobs as the tasks read them: a range of its own each, or, where ranges are not served, cut from one stream. What is read from a
 * blob's first byte to its last in one stretch is held to the blob's digest, whatever is made of it.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, Digester, type Digest } from "../oci/digest.ts";
import type { BlobSource, TransportEvent } from "../registry/blob-source.ts";
import { ChunkReader } from "./chunk-reader.ts";

export interface BlobStretch {
  /** At least one and at most `limit` bytes, valid until the next call. @throws VarveError `SIZE_MISMATCH` at the end */
  read(limit: number): Promise<Uint8Array>;
  /**
   * All bytes were read: lets the source end properly, so that its connection can be used again.
   * @throws VarveError `SIZE_MISMATCH` when there are more; `DIGEST_MISMATCH` when they are all of the blob, and are not what its digest says
   */
  finish(): Promise<void>;
  close(): void;
}

/** Opens bytes `[start, end)` of a blob. */
export type OpenStretch = (blob: Descriptor, start: number, end: number) => Promise<BlobStretch>;

export interface StretchOptions {
  readonly blobs: BlobSource;
  readonly signal: AbortSignal;
  readonly onEvent: (event: TransportEvent) => void;
  /** What is made of the stretches. A blob of this digest is verified there. */
  readonly target: Digest;
}

/** Every stretch is a request of its own; without a Range header when it is the whole blob. */
export function separateStretches({ blobs, signal, onEvent, target }: StretchOptions): OpenStretch {
  return async (blob, start, end) => {
    const isWhole = start === 0 && end === blob.size;
    const range = isWhole ? {} : { range: { start, end } };
    const chunks = new ChunkReader(blobs.readBlob(blob, { ...range, signal, onEvent }), signal);
    const check = isWhole ? BlobCheck.of(blob, target) : undefined;
    return {
      read: async (limit) => {
        const chunk = await readSome(chunks, limit, blob);
        check?.update(chunk);
        return chunk;
      },
      finish: async () => {
        await expectEnd(chunks, blob);
        check?.finish();
      },
      close: () => chunks.close(),
    };
  };
}

/** Holds all bytes of a blob to its digest. */
class BlobCheck {
  readonly #blob: Descriptor;
  readonly #digester: Digester;

  private constructor(blob: Descriptor) {
    this.#blob = blob;
    this.#digester = new Digester(digestAlgorithm(blob.digest));
  }

  /** None where the target is the blob, whose digest is computed then anyway. */
  static of(blob: Descriptor, target: Digest): BlobCheck | undefined {
    return blob.digest === target ? undefined : new BlobCheck(blob);
  }

  update(bytes: Uint8Array): void {
    this.#digester.update(bytes);
  }

  /** All bytes were given. @throws VarveError `DIGEST_MISMATCH`, as one of the whole: nobody knows which byte is bad */
  finish(): void {
    const computed = this.#digester.digest();
    const { digest: expected } = this.#blob;
    if (computed === expected) return;
    throw new VarveError("DIGEST_MISMATCH", `the bytes of the blob ${expected} came out as ${computed}`, {
      detail: { expected, computed, whole: true },
    });
  }
}

interface WholeBlob {
  readonly digest: Digest;
  readonly chunks: ChunkReader;
  readonly check: BlobCheck | undefined;
  /** Bytes read. */
  offset: number;
}

/**
 * Stretches of the blobs in `streamed` are cut from one request for the whole blob, which must be asked for in the order of
 * the blob, and one blob after the other: a body whose reader is elsewhere holds one of the few connections that others
 * wait for. Stretches of other blobs are as with {@link separateStretches}.
 */
export class StreamedStretches implements Disposable {
  readonly #options: StretchOptions;
  readonly #streamed: ReadonlySet<Digest>;
  readonly #separate: OpenStretch;
  /** Blobs that were left for another one. */
  readonly #left = new Set<Digest>();
  #whole: WholeBlob | undefined;

  constructor(options: StretchOptions, streamed: ReadonlySet<Digest>) {
    this.#options = options;
    this.#streamed = streamed;
    this.#separate = separateStretches(options);
  }

  readonly open: OpenStretch = async (blob, start, end) => {
    if (!this.#streamed.has(blob.digest)) return this.#separate(blob, start, end);
    const whole = this.#of(blob);
    if (start < whole.offset) throw outOfOrder(blob);
    const { chunks, check } = whole;
    const read = async (limit: number): Promise<Uint8Array> => {
      const chunk = await readSome(chunks, limit, blob);
      check?.update(chunk);
      whole.offset += chunk.length;
      return chunk;
    };
    while (whole.offset < start) await read(start - whole.offset);
    return {
      read,
      finish: async () => {
        if (whole.offset < blob.size) return;
        await expectEnd(chunks, blob);
        check?.finish();
      },
      close: () => {},
    };
  };

  [Symbol.dispose](): void {
    this.#leave();
  }

  #of(blob: Descriptor): WholeBlob {
    if (this.#whole?.digest === blob.digest) return this.#whole;
    this.#leave();
    if (this.#left.has(blob.digest)) throw outOfOrder(blob);
    const { blobs, signal, onEvent, target } = this.#options;
    const chunks = new ChunkReader(blobs.readBlob(blob, { signal, onEvent }), signal);
    this.#whole = { digest: blob.digest, chunks, check: BlobCheck.of(blob, target), offset: 0 };
    return this.#whole;
  }

  #leave(): void {
    if (this.#whole === undefined) return;
    this.#whole.chunks.close();
    this.#left.add(this.#whole.digest);
    this.#whole = undefined;
  }
}

function outOfOrder({ digest }: Descriptor): VarveError {
  return new VarveError("RANGE_UNSUPPORTED", `${digest} is wanted out of order, and its host serves no ranges`);
}

async function readSome(chunks: ChunkReader, limit: number, blob: Descriptor): Promise<Uint8Array> {
  const chunk = await chunks.read(limit);
  if (chunk !== undefined) return chunk;
  throw new VarveError("SIZE_MISMATCH", `the source of ${blob.digest} ended before the bytes it was asked for`);
}

async function expectEnd(chunks: ChunkReader, blob: Descriptor): Promise<void> {
  if ((await chunks.read(1)) === undefined) return;
  throw new VarveError("SIZE_MISMATCH", `the source of ${blob.digest} gave more bytes than it was asked for`);
}
