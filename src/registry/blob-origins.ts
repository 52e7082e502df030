/**
 * Who gave a blob's bytes. Nobody can tell before its end that they are wrong, and by then the endpoint that sent them looks as
 * good as any: it is asked last when the blob is tried again, and the registry itself first.
 */
import type { Digest } from "../oci/digest.ts";
import type { Endpoint } from "./endpoint.ts";

/** Blobs that are remembered. A client that has read more since then asks in the usual order. */
const MOST_BLOBS = 1000;

interface Origins {
  readonly gave: Set<string>;
  /** Of those, who gave bytes that came out wrong. */
  readonly suspects: Set<string>;
}

export class BlobOrigins {
  readonly #blobs = new Map<Digest, Origins>();

  /** The endpoint answers with bytes of the blob. */
  gave(endpoint: Endpoint, digest: Digest): void {
    const origins = this.#blobs.get(digest) ?? { gave: new Set(), suspects: new Set() };
    origins.gave.add(keyOf(endpoint));
    this.#blobs.delete(digest);
    this.#blobs.set(digest, origins);
    if (this.#blobs.size > MOST_BLOBS) this.#blobs.delete(this.#blobs.keys().next().value as Digest);
  }

  /** The blob came out wrong: any of those who gave bytes of it since may be to blame. */
  distrust(digest: Digest): void {
    const origins = this.#blobs.get(digest);
    for (const key of origins?.gave ?? []) origins?.suspects.add(key);
    origins?.gave.clear();
  }

  /** The order in which to ask for the blob, given the usual one. */
  order(endpoints: readonly Endpoint[], digest: Digest): readonly Endpoint[] {
    const suspects = this.#blobs.get(digest)?.suspects;
    if (suspects === undefined || suspects.size === 0) return endpoints;
    const rank = (endpoint: Endpoint): number => (suspects.has(keyOf(endpoint)) ? 2 : endpoint.upstream ? 0 : 1);
    return endpoints.toSorted((a, b) => rank(a) - rank(b));
  }
}

function keyOf(endpoint: Endpoint): string {
  return `${endpoint.host}${endpoint.prefix}/${endpoint.repository}`;
}
