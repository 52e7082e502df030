/** The store as one of the places that images come from. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import type { ImageRecord } from "../../store/images.ts";
import type { Store } from "../../store/store.ts";
import { verified } from "./verified.ts";
import type { ImageSource } from "./types.ts";

export interface StoreSourceOptions {
  /** Ends with the source. */
  readonly held?: Disposable;
  /** Where blobs come from that were given up, because their layers are held unpacked. Default: they are missing. */
  readonly elsewhere?: (
    blob: Descriptor,
    options: { readonly start: number; readonly signal: AbortSignal | undefined },
  ) => AsyncIterable<Uint8Array>;
}

export class StoreSource implements ImageSource {
  readonly #store: Store;
  readonly #record: ImageRecord;
  readonly #options: StoreSourceOptions;

  /** The store stays the caller's to close. */
  constructor(store: Store, record: ImageRecord, options: StoreSourceOptions = {}) {
    this.#store = store;
    this.#record = record;
    this.#options = options;
  }

  /** As the store has it, in full. */
  get name(): string {
    return this.#record.name;
  }

  root(): Promise<Manifest | Index> {
    return this.document(this.#record.descriptor);
  }

  /** The manifest of the platform that was pulled, where the root is an index. */
  manifest(): Promise<Manifest | Index> {
    return this.document(this.#record.manifest);
  }

  async document({ digest, mediaType }: Descriptor): Promise<Manifest | Index> {
    const bytes = await this.#store.content.readBytes(digest, MAX_DOCUMENT_BYTES);
    return parseManifest(bytes, { contentType: mediaType, expected: { digest } });
  }

  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return verified(this.#bytes(descriptor, 0, signal), descriptor);
  }

  blobFrom(descriptor: Descriptor, start: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#bytes(descriptor, start, signal);
  }

  /** As registries without an API for them have them, see store-referrers.ts. */
  async referrers(subject: Digest): Promise<readonly Descriptor[]> {
    const { listedReferrers } = await import("./store-referrers.ts");
    return listedReferrers(this.#store, this.name, subject);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#options.held?.[Symbol.dispose]();
    return Promise.resolve();
  }

  async *#bytes(blob: Descriptor, start: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const { content, layers } = this.#store;
    const { elsewhere } = this.#options;
    const isHere = elsewhere === undefined || (await content.stat(blob.digest)) !== undefined;
    if (isHere || (await layers.get(blob.digest))?.discardedAt === undefined) {
      yield* content.read(blob.digest, { start, ...(signal !== undefined && { signal }) });
    } else {
      yield* elsewhere(blob, { start, signal });
    }
  }
}
