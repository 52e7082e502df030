/**
 * Where blobs were redirected to. One resolution serves all parallel ranges of a blob until the store behind the
 * registry refuses the URL.
 */
import type { Digest } from "../oci/digest.ts";
import type { Endpoint } from "./endpoint.ts";

const MOST_URLS = 256;

export class SignedUrls {
  readonly #urls = new Map<string, URL>();

  get(endpoint: Endpoint, digest: Digest): URL | undefined {
    return this.#urls.get(keyOf(endpoint, digest));
  }

  set(endpoint: Endpoint, digest: Digest, url: URL): void {
    const key = keyOf(endpoint, digest);
    this.#urls.delete(key);
    this.#urls.set(key, url);
    if (this.#urls.size > MOST_URLS) this.#urls.delete(this.#urls.keys().next().value ?? "");
  }

  /** Forgets it, unless somebody else has already put a newer one in its place. */
  drop(endpoint: Endpoint, digest: Digest, url: URL): void {
    const key = keyOf(endpoint, digest);
    if (this.#urls.get(key) === url) this.#urls.delete(key);
  }

  /** Forgets where the blob was redirected to, whoever did. */
  forget(digest: Digest): void {
    for (const key of this.#urls.keys()) if (key.endsWith(`@${digest}`)) this.#urls.delete(key);
  }
}

function keyOf(endpoint: Endpoint, digest: Digest): string {
  return `${endpoint.host}${endpoint.prefix}/${endpoint.repository}@${digest}`;
}
