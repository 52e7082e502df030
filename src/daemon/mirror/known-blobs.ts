/** What blobs of a repository are of which size, as its manifests have it, so that the registry need not be asked for it before a blob is. */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Index, Manifest } from "../../oci/manifest.ts";
import type { RepositoryKey } from "../../store/repositories.ts";

/** The latest; of older ones the registry is asked. */
const MOST = 50_000;

export class KnownBlobs {
  readonly #blobs = new Map<string, Descriptor>();

  learn(key: RepositoryKey, document: Manifest | Index): void {
    if (document.kind === "index") return;
    for (const { digest, size, mediaType } of [document.config, ...document.layers]) {
      const name = nameOf(key, digest);
      this.#blobs.delete(name);
      this.#blobs.set(name, { digest, size, mediaType });
    }
    while (this.#blobs.size > MOST) this.#blobs.delete(this.#blobs.keys().next().value!);
  }

  get(key: RepositoryKey, digest: Digest): Descriptor | undefined {
    return this.#blobs.get(nameOf(key, digest));
  }

  /** The registry says otherwise. */
  forget(key: RepositoryKey, digest: Digest): void {
    this.#blobs.delete(nameOf(key, digest));
  }
}

function nameOf({ name }: RepositoryKey, digest: Digest): string {
  return `${name} ${digest}`;
}
