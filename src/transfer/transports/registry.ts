/** A registry as one of the places that images come from. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import { withDigest, type Reference } from "../../oci/reference.ts";
import type { RegistryClient } from "../../registry/client.ts";
import type { TransportEvent } from "../../registry/blob-source.ts";
import { verified } from "./verified.ts";
import type { ImageSource } from "./types.ts";

export interface RegistrySourceOptions {
  /** Stays the caller's to close. */
  readonly client: RegistryClient;
  readonly reference: Reference;
  readonly signal: AbortSignal;
  /** Told of retries, of failovers and of what the registry warns of. */
  readonly onEvent?: (event: TransportEvent) => void;
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
    const { client, reference, onEvent } = this.#options;
    const request = { signal, ...(onEvent !== undefined && { onEvent }) };
    return verified(client.blobs(reference).readBlob(descriptor, request), descriptor);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}
