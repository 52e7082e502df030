/**
 * Publishes the deltas of an image in its registry, so that plain pulls find them: their manifest refers to the image's (OCI 1.1, or the fallback tag),
 * and is named in the repository's index of deltas, which readers of the older scheme know (formats "tar-diff" §2).
 */
import { isVarveError, VarveError } from "../../../errors/varve-error.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import { formatReference, type Reference } from "../../../oci/reference.ts";
import type { TransportEvent } from "../../../registry/blob-source.ts";
import type { BlobSink } from "../../../registry/upload/blob-sink.ts";
import type { TransferContext } from "../../context.ts";
import { BlobProgress } from "../../blob-progress.ts";
import { inParallel } from "../../in-parallel.ts";
import type { DeltasToPublish, PublishedDelta, PublishResult } from "./types.ts";
import { nameInIndex } from "./update-index.ts";
import { configDelta, writeDeltaManifest } from "./write-manifest.ts";

const DEFAULT_CONCURRENCY = 4;

export interface PublishOptions {
  /** Blobs at once. Default 4. */
  readonly concurrency?: number;
  /** Told of requests, bytes and retries. */
  readonly onEvent?: (event: TransportEvent) => void;
}

/**
 * @param reference of the image, of which the repository counts
 * @throws VarveError `MANIFEST_UNKNOWN` when the repository lacks the image; `MANIFEST_TOO_LARGE`, `UNAUTHORIZED`, `DENIED`, `REGISTRY_*`; whatever the deltas'
 * bytes throw
 */
export async function publishDeltas(
  { registry, signal, onProgress }: Pick<TransferContext, "registry" | "signal" | "onProgress">,
  reference: Reference,
  { target, base, deltas }: DeltasToPublish,
  { concurrency = DEFAULT_CONCURRENCY, onEvent }: PublishOptions = {},
): Promise<PublishResult> {
  const uploads = registry.uploads(reference);
  const caller = { signal, onEvent };
  if ((await uploads.resolve(target.digest, caller)) === undefined) {
    const message = `${reference.host}/${reference.name} lacks the image that the deltas are for: ${target.digest}`;
    throw new VarveError("MANIFEST_UNKNOWN", message, { hint: "push the image first, and its deltas then" });
  }
  const manifest = writeDeltaManifest(target, base, deltas);
  const blobs = [...new Map([configDelta, ...deltas].map((one) => [one.blob.digest, one])).values()];
  const put = new PutBlobs(uploads, { signal, onProgress, onEvent });
  put.announce(deltas);
  await inParallel(blobs, concurrency, (one) => put.put(one));
  await uploads.putManifest(manifest, manifest.digest, caller);
  const descriptor: Descriptor = {
    mediaType: manifest.mediaType,
    digest: manifest.digest,
    size: manifest.bytes.length,
  };
  const warnings: string[] = [];
  try {
    await nameInIndex(uploads, manifest, { ...caller, registry, reference, target: target.digest });
  } catch (error) {
    signal.throwIfAborted();
    if (!isVarveError(error)) throw error;
    const message = `the deltas are not in the index of deltas of ${formatReference({ host: reference.host, name: reference.name })}: ${error.message}`;
    warnings.push(message);
    onProgress({ type: "warning", message, code: error.code });
  }
  return { manifest: descriptor, copied: put.copied, present: blobs.length - put.copied, warnings };
}

interface PutOptions extends Pick<TransferContext, "signal" | "onProgress"> {
  readonly onEvent: ((event: TransportEvent) => void) | undefined;
}

/** Blobs on their way to the registry, told of as those of images are. */
class PutBlobs {
  /** Those that had to be sent. */
  copied = 0;
  readonly #uploads: BlobSink;
  readonly #options: PutOptions;
  readonly #progress: BlobProgress;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;

  constructor(uploads: BlobSink, options: PutOptions) {
    this.#uploads = uploads;
    this.#options = options;
    this.#progress = new BlobProgress(options.onProgress);
    this.#signal = AbortSignal.any([options.signal, this.#failed.signal]);
  }

  announce(deltas: readonly PublishedDelta[]): void {
    const { onProgress } = this.#options;
    for (const { digest, size: total } of new Map(deltas.map(({ blob }) => [blob.digest, blob])).values()) {
      onProgress({ type: "layer-queued", digest, total, done: 0 });
    }
  }

  /** The first failure ends the others, whose bytes would be for nothing. */
  async put(delta: Pick<PublishedDelta, "blob" | "open">): Promise<void> {
    try {
      await this.#put(delta);
    } catch (error) {
      this.#failed.abort(error);
      throw error;
    }
  }

  async #put({ blob, open }: Pick<PublishedDelta, "blob" | "open">): Promise<void> {
    const { onProgress, onEvent } = this.#options;
    const descriptor = { mediaType: "application/octet-stream", digest: blob.digest, size: blob.size };
    if (await this.#uploads.has(descriptor, { signal: this.#signal, onEvent })) {
      return onProgress({ type: "layer-present", digest: blob.digest, total: blob.size });
    }
    this.#progress.begin(descriptor);
    try {
      await this.#uploads.putBlob(descriptor, open, {
        signal: this.#signal,
        onEvent: (event) => {
          this.#progress.onEvent(event, blob.digest);
          onEvent?.(event);
        },
      });
    } catch (error) {
      this.#progress.leave(descriptor);
      throw error;
    }
    this.#progress.end(descriptor);
    this.copied++;
  }
}
