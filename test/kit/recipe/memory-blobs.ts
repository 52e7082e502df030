/** A blob source that serves from memory, in chunks of the test's choosing, and fails where the test says. */
import { setImmediate as turn } from "node:timers/promises";
import { VarveError } from "../../../src/errors/varve-error.ts";
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import { digestOf, type Digest } from "../../../src/oci/digest.ts";
import type { BlobRange, BlobRequest, BlobSource } from "../../../src/registry/blob-source.ts";

export interface MemoryBlobsOptions {
  /** Bytes of the next chunk. Default 64 KiB. */
  readonly chunk?: () => number;
  /** Whether ranges beyond a blob's start are served. Default true. */
  readonly ranges?: boolean;
  /**
   * Called before each chunk, with its place in the blob; may wait, or throw. A source that ignores its signal is what this
   * may stay away for good with.
   */
  readonly onChunk?: (request: LoggedRequest, offset: number) => Promise<void> | void;
}

export interface LoggedRequest {
  readonly digest: Digest;
  readonly range: BlobRange | undefined;
  /** Counts from 0. */
  readonly index: number;
}

export class MemoryBlobs implements BlobSource {
  readonly requests: LoggedRequest[] = [];
  /** Body bytes handed out. */
  served = 0;
  active = 0;
  peakActive = 0;
  readonly #blobs = new Map<Digest, Uint8Array>();
  readonly #options: MemoryBlobsOptions;

  constructor(options: MemoryBlobsOptions = {}) {
    this.#options = options;
  }

  add(bytes: Uint8Array, digest: Digest = digestOf(bytes)): Descriptor {
    this.#blobs.set(digest, bytes);
    return { mediaType: "application/octet-stream", digest, size: bytes.length };
  }

  async *readBlob(blob: Descriptor, { range, signal, onEvent }: BlobRequest = {}): AsyncGenerator<Uint8Array> {
    const { chunk = () => 64 << 10, ranges = true, onChunk } = this.#options;
    const request = { digest: blob.digest, range, index: this.requests.length };
    this.requests.push(request);
    onEvent?.({ type: "request", host: "memory" });
    const bytes = this.#blobs.get(blob.digest);
    if (bytes === undefined) throw new VarveError("BLOB_UNKNOWN", blob.digest);
    if (!ranges && range !== undefined && range.start > 0) throw new VarveError("RANGE_UNSUPPORTED", blob.digest);
    this.active++;
    this.peakActive = Math.max(this.peakActive, this.active);
    try {
      const end = range?.end ?? bytes.length;
      for (let offset = range?.start ?? 0; offset < end;) {
        signal?.throwIfAborted();
        await onChunk?.(request, offset);
        const length = Math.min(chunk(), end - offset);
        this.served += length;
        onEvent?.({ type: "received", bytes: length });
        yield Uint8Array.from(bytes.subarray(offset, offset + length));
        offset += length;
        if (request.index % 2 === 1) await turn(); // so that streams overtake each other
      }
    } finally {
      this.active--;
    }
  }
}
