/** A registry as one of the places that images come from. */
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { withDigest, type Reference } from "../../oci/reference.ts";
import type { RegistryClient } from "../../registry/client.ts";
import type { BlobRequest, BlobSource, TransportEvent } from "../../registry/blob-source.ts";
import { dropUntil } from "./restartable-blob.ts";
import { verified } from "./verified.ts";
import type { ImageSource } from "./types.ts";

export interface RegistrySourceOptions {
  /** Stays the caller's to close. */
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly signal: AbortSignal;
  /** Told of retries, of failovers and of what the registry warns of, and which blob it is about where it is about one. */
  readonly onEvent?: (event: TransportEvent, digest?: Digest) => void;
}

export class RegistrySource implements ImageSource {
  readonly #options: RegistrySourceOptions;
  #root: Promise<Manifest | Index> | undefined;

  constructor(options: RegistrySourceOptions) {
    this.#options = options;
  }

  root(): Promise<Manifest | Index> {
    const { client, reference, signal, onEvent } = this.#options;
    this.#root ??= client.fetchManifest(reference, { signal, onEvent });
    return this.#root;
  }

  document({ digest, size }: Descriptor): Promise<Manifest | Index> {
    const { client, reference, signal, onEvent } = this.#options;
    return client.fetchManifest(withDigest(reference, digest), { digest, size, signal, onEvent });
  }

  blob(descriptor: Descriptor, signal: AbortSignal = this.#options.signal): AsyncIterable<Uint8Array> {
    const { client, reference } = this.#options;
    return verified(client.blobs(reference).readBlob(descriptor, this.#request(descriptor, signal)), descriptor);
  }

  blobFrom(
    descriptor: Descriptor,
    start: number,
    signal: AbortSignal = this.#options.signal,
  ): AsyncIterable<Uint8Array> {
    const { client, reference } = this.#options;
    return readBlobFrom(client.blobs(reference), descriptor, start, this.#request(descriptor, signal));
  }

  referrers(subject: Digest): Promise<readonly Descriptor[]> {
    const { client, reference, signal, onEvent } = this.#options;
    return client.referrers(reference, subject, { signal, onEvent });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #request({ digest }: Descriptor, signal: AbortSignal): Omit<BlobRequest, "range"> {
    const { onEvent } = this.#options;
    return { signal, ...(onEvent !== undefined && { onEvent: (event) => onEvent(event, digest) }) };
  }
}

/** A blob's bytes from one on, read from the beginning where the registry knows no ranges. Not held to the digest. */
export async function* readBlobFrom(
  blobs: BlobSource,
  blob: Descriptor,
  start: number,
  request: Omit<BlobRequest, "range">,
): AsyncGenerator<Uint8Array, void, undefined> {
  if (start >= blob.size && blob.size > 0) return;
  let at = start;
  if (start > 0) {
    try {
      for await (const chunk of blobs.readBlob(blob, { ...request, range: { start, end: blob.size } })) {
        at += chunk.length;
        yield chunk;
      }
      return;
    } catch (error) {
      if (!isVarveError(error, "RANGE_UNSUPPORTED")) throw error;
    }
  }
  yield* dropUntil(at, blobs.readBlob(blob, request));
}
