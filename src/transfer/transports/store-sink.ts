/** The store as one of the places that images go to. */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { Digester, digestAlgorithm } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import type { Lease } from "../../store/leases.ts";
import type { Store } from "../../store/store.ts";
import type { ImageSink, PutDocumentOptions } from "./types.ts";

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
  readonly #referrers: (Manifest | Index)[] = [];
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

  async putDocument(document: Manifest | Index, { root, referrer = false }: PutDocumentOptions): Promise<void> {
    await this.#lease.add(document.digest);
    await this.#options.store.content.writeBytes(document.digest, document.bytes);
    if (root) this.#root = document;
    (referrer ? this.#referrers : this.#documents).push(document);
  }

  async commit(): Promise<void> {
    const root = this.#root;
    const { store, name, signal } = this.#options;
    if (this.#referrers.length > 0) {
      const { listReferrers } = await import("./store-referrers.ts");
      await listReferrers(store, name, this.#referrers, this.#lease, signal);
      // What the name stands for is there already.
      if (root === undefined) return;
    }
    if (root === undefined) throw new VarveError("INTERNAL", "a copy ended without its root document");
    const manifest = root.kind === "manifest" ? root : this.#onlyManifest();
    const listed = root.kind === "index" ? root.manifests.find(({ digest }) => digest === manifest?.digest) : undefined;
    await store.images.put({
      name,
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
