/** The blobs of a copy: each found at its destination, mounted from beside it, or read and written, several at once. */
import type { Descriptor } from "../oci/descriptor.ts";
import type { BlobProgress } from "./blob-progress.ts";
import type { TransferContext } from "./context.ts";
import { inParallel } from "./in-parallel.ts";
import { RestartableBlob } from "./transports/restartable-blob.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

export class BlobCopy {
  readonly #context: TransferContext;
  readonly #source: ImageSource;
  readonly #sink: ImageSink;
  readonly #progress: BlobProgress;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  /** Blobs that were read and written, those that the destination took over from elsewhere in it, and those that it had. */
  readonly counts = { copied: 0, mounted: 0, present: 0 };
  /** Of the blobs that were written, as the descriptors have them. */
  bytes = 0;

  constructor(context: TransferContext, source: ImageSource, sink: ImageSink, progress: BlobProgress) {
    this.#context = context;
    this.#progress = progress;
    this.#source = source;
    this.#sink = sink;
    this.#signal = AbortSignal.any([context.signal, this.#failed.signal]);
  }

  /** Tells of all of them, so that whoever looks on knows how much there is. */
  announce(blobs: readonly Descriptor[]): void {
    const { onProgress } = this.#context;
    for (const { digest, size: total } of blobs) onProgress({ type: "layer-queued", digest, total, done: 0 });
  }

  /** The first failure ends the others, whose bytes would be for nothing. */
  async copy(blobs: readonly Descriptor[], concurrency: number): Promise<void> {
    await inParallel(blobs, concurrency, async (blob) => {
      try {
        await this.#copyOne(blob);
      } catch (error) {
        this.#failed.abort(error);
        throw error;
      }
    });
  }

  async #copyOne(blob: Descriptor): Promise<void> {
    const { onProgress } = this.#context;
    const { digest, size: total } = blob;
    this.#signal.throwIfAborted();
    if (await this.#sink.has(blob)) {
      this.counts.present++;
      return onProgress({ type: "layer-present", digest, total });
    }
    const from = await this.#sink.mount?.(blob);
    if (from !== undefined) {
      this.counts.mounted++;
      return onProgress({ type: "layer-mounted", digest, total, from });
    }
    await this.#send(blob);
    this.counts.copied++;
    this.bytes += total;
  }

  async #send(blob: Descriptor): Promise<void> {
    const progress = this.#progress;
    const signal = this.#signal;
    progress.begin(blob);
    const onPosition = (position: number): void => progress.wasRead(blob.digest, position);
    try {
      await this.#sink.putBlob(blob, new RestartableBlob(this.#source, blob, { signal, onPosition }), signal);
    } catch (error) {
      progress.leave(blob);
      throw error;
    }
    progress.end(blob);
  }
}
