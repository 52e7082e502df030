/** In which order the documents of a copy are put: whatever one names is there before it, as registries demand. */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { isIndexType, isManifestType } from "../oci/media-types.ts";

type Document = Manifest | Index;

/** Lists of documents that name only those of earlier lists, or none of these at all. */
export function childrenFirst(documents: readonly Document[]): Document[][] {
  const known = new Set(documents.map(({ digest }) => digest));
  const missing = new Map<Document, number>();
  const parents = new Map<Digest, Document[]>();
  for (const document of documents) {
    const named = document.kind === "index" ? document.manifests.filter(({ digest }) => known.has(digest)) : [];
    missing.set(document, named.length);
    for (const { digest } of named) {
      const others = parents.get(digest);
      if (others === undefined) parents.set(digest, [document]);
      else others.push(document);
    }
  }
  const lists: Document[][] = [];
  for (let list = documents.filter((document) => missing.get(document) === 0); list.length > 0;) {
    lists.push(list);
    list = list
      .flatMap(({ digest }) => parents.get(digest) ?? [])
      .filter((parent) => {
        const left = (missing.get(parent) ?? 0) - 1;
        missing.set(parent, left);
        return left === 0;
      });
  }
  return lists;
}

/** Each once: layers, configs, and what an index names besides manifests. */
export function distinctBlobs(documents: readonly Document[]): Descriptor[] {
  const blobs = documents.flatMap((document) =>
    document.kind === "manifest"
      ? [document.config, ...document.layers]
      : document.manifests.filter(({ mediaType }) => !isDocument(mediaType)),
  );
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}

/** The configs of documents: the least of what they name, and the last that is put of it. */
export function configsOf(documents: readonly Document[]): ReadonlySet<Digest> {
  return new Set(documents.flatMap((document) => (document.kind === "manifest" ? [document.config.digest] : [])));
}

export function isDocument(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}
