/**
 * Which repositories have a blob, as far as the names of the store's images tell: whoever pulled an image saw its repository hold all that it
 * names. Blobs that were given up are fetched from there, and uploads are spared where registries can mount from one repository to another.
 */
import type { Digest } from "../oci/digest.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import type { Store } from "../store/store.ts";
import { reachable } from "../store/unreferenced.ts";

export class BlobHomes {
  readonly #store: Store;
  readonly #host: string | undefined;
  #homes: Promise<ReadonlyMap<Digest, readonly Reference[]>> | undefined;

  /** @param host the only registry whose repositories are of use; images of others are not even read then. Default: any */
  constructor(store: Store, host?: string) {
    this.#store = store;
    this.#host = host;
  }

  /**
   * Repositories, without tag or digest, each once; the image that came into the store first is first, for later names may have been given to
   * what had come under it. The store is looked through once, when this is first asked.
   */
  async of(digest: Digest): Promise<readonly Reference[]> {
    this.#homes ??= findHomes(this.#store, this.#host);
    return (await this.#homes).get(digest) ?? [];
  }
}

async function findHomes(
  { images, content }: Store,
  only: string | undefined,
): Promise<ReadonlyMap<Digest, readonly Reference[]>> {
  const homes = new Map<Digest, Reference[]>();
  const records = (await images.list()).toSorted((a, b) => a.createdAt.getTime() - b.createdAt.getTime());
  for (const image of records) {
    const { host, name } = parseReference(image.name);
    if (only !== undefined && host !== only) continue;
    for (const digest of (await reachable(content, [image.manifest, image.descriptor])).keys()) {
      const known = homes.get(digest) ?? [];
      if (!known.some((home) => home.host === host && home.name === name))
        homes.set(digest, [...known, { host, name }]);
    }
  }
  return homes;
}
