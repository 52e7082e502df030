/** The store as one of the places that images come from and go to. */
import { VarveError } from "../../errors/varve-error.ts";
import { Digester, digestAlgorithm } from "../../oci/digest.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import type { ImageRecord } from "../../store/images.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import { verified } from "./verified.ts";
import type { ImageSink, ImageSource, PutDocumentOptions } from "./types.ts";

export interface StoreSourceOptions {
  /** Ends with the source. */
  readonly held?: Disposable;
  /** Where blobs come from that were given up, because their layers are held unpacked. Default: they are missing. */
  readonly elsewhere?: (blob: Descriptor, signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;
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
    return verified(this.#bytes(descriptor, signal), descriptor);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#options.held?.[Symbol.dispose]();
    return Promise.resolve();
  }

  async *#bytes(blob: Descriptor, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    const { content, layers } = this.#store;
    const { elsewhere } = this.#options;
    const isHere = elsewhere === undefined || (await content.stat(blob.digest)) !== undefined;
    if (isHere || (await layers.get(blob.digest))?.discardedAt === undefined) {
      yield* content.read(blob.digest, signal === undefined ? {} : { signal });
    } else {
      yield* elsewhere(blob, signal);
    }
  }
}

export interface StoreSinkOptions {
  readonly store: Store;
  /** Canonical. */
  readonly name: string;
  readonly signal: AbortSignal;
}

/** Takes an image into the store under one name; what it takes is leased until the copy has ended. */
export class StoreSink implements ImageSink {
  readonly #options: StoreSinkOptions;
  readonly #lease: Lease;
  readonly #documents: (Manifest | Index)[] = [];
  #root: Manifest | Index | undefined;

  private constructor(options: StoreSinkOptions, lease: Lease) {
    this.#options = options;
    this.#lease = lease;
  }

  static async open(options: StoreSinkOptions): Promise<StoreSink> {
    return new StoreSink(options, await options.store.leases.create());
  }

  async has(blob: Descriptor): Promise<boolean> {
    await this.#lease.add(blob.digest);
    return this.#options.store.content.holds(blob);
  }

  async putBlob(descriptor: Descriptor, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const { store, signal } = this.#options;
    await this.#lease.add(descriptor.digest);
    const place = await store.content.ingest(descriptor, { signal });
    if (!("commit" in place)) return;
    await using ingest = place;
    const digester = new Digester(digestAlgorithm(descriptor.digest));
    for await (const chunk of bytes) {
      signal.throwIfAborted();
      await ingest.write(digester.size, chunk);
      digester.update(chunk);
    }
    const size = digester.size;
    await ingest.commit({ digest: digester.digest(), size });
  }

  async putDocument(document: Manifest | Index, { root }: PutDocumentOptions): Promise<void> {
    await this.#lease.add(document.digest);
    await this.#options.store.content.writeBytes(document.digest, document.bytes);
    this.#documents.push(document);
    if (root) this.#root = document;
  }

  async commit(): Promise<void> {
    const root = this.#root;
    if (root === undefined) throw new VarveError("INTERNAL", "a copy ended without its root document");
    const manifest = root.kind === "manifest" ? root : this.#onlyManifest();
    const listed = root.kind === "index" ? root.manifests.find(({ digest }) => digest === manifest?.digest) : undefined;
    await this.#options.store.images.put({
      name: this.#options.name,
      descriptor: describe(root),
      ...(manifest !== undefined && {
        manifest: listed ?? describe(manifest),
        configDigest: manifest.config.digest,
      }),
    });
  }

  /** Of an index of which one platform came along, that one. */
  #onlyManifest(): Manifest | undefined {
    const [only, ...others] = this.#documents.filter((document) => document.kind === "manifest");
    return others.length === 0 ? only : undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lease.release();
  }
}

function describe({ mediaType, digest, bytes }: Manifest | Index): Descriptor {
  return { mediaType, digest, size: bytes.length };
}
