/**
 * Where one fetch of a blob gets its bytes, and which repositories read along with it: from this machine where it can make it, else from the
 * repository that it was begun for. Never from another one: who reads along would get what only that one has.
 */
import { isVarveError, toError, VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { BlobRequest, BlobSource } from "../../registry/blob-source.ts";
import type { Upstream } from "./upstreams.ts";

export class Origins implements BlobSource {
  readonly #upstreams = new Map<string, Upstream>();

  readonly #own: BlobSource | undefined;

  /** @param own asked before all others */
  constructor(first: Upstream, own?: BlobSource) {
    this.add(first);
    this.#own = own;
  }

  /** The one that is asked first. */
  get all(): readonly Upstream[] {
    return [...this.#upstreams.values()];
  }

  add(upstream: Upstream): void {
    const { name } = upstream.key;
    if (!this.#upstreams.has(name)) this.#upstreams.set(name, upstream);
  }

  has({ key }: Upstream): boolean {
    return this.#upstreams.has(key.name);
  }

  /** The bytes that they gave were not the blob's. */
  distrust({ digest }: Descriptor): void {
    for (const { client } of this.#upstreams.values()) client.distrust(digest);
  }

  async *readBlob(blob: Descriptor, request: BlobRequest = {}): AsyncGenerator<Uint8Array> {
    const { start, end } = request.range ?? { start: 0, end: blob.size };
    let at = start;
    let failure: Error | undefined;
    for (const source of this.#sources()) {
      try {
        const rest = at === start ? request : { ...request, range: { start: at, end } };
        for await (const chunk of source.readBlob(blob, rest)) {
          at += chunk.length;
          yield chunk;
        }
        return;
      } catch (error) {
        if (request.signal?.aborted === true || isVarveError(error, "INTERRUPTED")) throw error;
        failure ??= toError(error);
      }
    }
    throw failure ?? new VarveError("INTERNAL", `nobody to ask for ${blob.digest}`);
  }

  *#sources(): Generator<BlobSource> {
    if (this.#own !== undefined) yield this.#own;
    const [first] = this.#upstreams.values();
    if (first !== undefined) yield first.client.blobs(first.reference);
  }
}
