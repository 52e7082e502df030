/**
 * Marking: everything that images need, found by following their documents. Memory is one digest per blob of the store plus the
 * documents on the way to one blob; each document is read once, however many images name it.
 */
import { isVarveError } from "../errors/varve-error.ts";
import { formatOf } from "../codec/tart/format-of.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { isIndexType, isManifestType } from "../oci/media-types.ts";
import type { ContentStore } from "./content.ts";

/** What lies under a digest: a document, something else (a layer, a config), nothing, or bytes that are not the digest's. */
export type Found = Manifest | Index | "no-document" | "absent" | "damaged";

/** What is asked for; without a media type the document itself has to say what it is. */
export interface Wanted {
  readonly digest: Digest;
  readonly mediaType?: string;
}

/** A document of the store, for following it; what is wrong with it is a value, failing to read the disk is not. */
export async function findDocument(content: ContentStore, { digest, mediaType }: Wanted): Promise<Found> {
  if (mediaType !== undefined && !isIndexType(mediaType) && !isManifestType(mediaType)) return "no-document";
  try {
    const bytes = await content.readBytes(digest, MAX_DOCUMENT_BYTES);
    return parseManifest(bytes, { ...(mediaType !== undefined && { contentType: mediaType }), expected: { digest } });
  } catch (error) {
    if (isVarveError(error, "BLOB_UNKNOWN")) return "absent";
    if (isVarveError(error, "DIGEST_MISMATCH") || isVarveError(error, "STORE_CORRUPT")) return "damaged";
    // The bytes are the digest's, so nothing is lost: whoever named them as a document was wrong.
    if (isVarveError(error) && NO_DOCUMENT.has(error.code)) return "no-document";
    throw error;
  }
}

const NO_DOCUMENT: ReadonlySet<string> = new Set(["MANIFEST_INVALID", "MANIFEST_TOO_LARGE", "MANIFEST_UNSUPPORTED"]);

/** What a document needs. A manifest's `subject` is no need and is not followed. */
export function partsOf(document: Manifest | Index): readonly Descriptor[] {
  return document.kind === "index" ? document.manifests : [document.config, ...document.layers];
}

/**
 * The keys of a machine's disks; none when its manifest contradicts itself, for then nobody can have made any. Undefined when it is of a kind that
 * another version may know, and may have made disks of.
 */
export async function disksOf(document: Manifest | Index): Promise<Digest[] | undefined> {
  if (document.kind === "index" || formatOf(document) === undefined) return [];
  const [{ diskKey }, { readDiskImage }] = await Promise.all([
    import("../codec/tart/disk-key.ts"),
    import("../codec/tart/read-disk-image.ts"),
  ]);
  try {
    return (readDiskImage(document)?.disks ?? []).map(diskKey);
  } catch (error) {
    if (!isVarveError(error)) throw error;
    return error.code === "MANIFEST_INVALID" ? [] : undefined;
  }
}

export class Marker {
  readonly #content: ContentStore;
  readonly #marked = new Set<Digest>();
  /** Documents that were followed. A digest may be marked as somebody's layer long before it is named as a document. */
  readonly #followed = new Set<Digest>();
  #hasUnknownDisks = false;

  constructor(content: ContentStore) {
    this.#content = content;
  }

  has(digest: Digest): boolean {
    return this.#marked.has(digest);
  }

  /** Whether a machine's disk is needed, or may be: as long as one manifest is not understood, any disk may be its own. */
  hasDisk(key: Digest): boolean {
    return this.#hasUnknownDisks || this.#marked.has(key);
  }

  /**
   * Marks a root and all that it needs, whether the store has it or not: documents, their parts, and the disks of machines by their keys.
   * @returns `damaged` when a document on the way is, so that what it needs is unknown; `absent` when the root itself is not there
   */
  async mark(root: Wanted): Promise<"whole" | "absent" | "damaged"> {
    let result: "whole" | "absent" | "damaged" = "whole";
    // A stack, not recursion: how deep indexes nest is up to who wrote them.
    const waiting = [root];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      this.#marked.add(next.digest);
      if (this.#followed.has(next.digest)) continue;
      const found = await findDocument(this.#content, next);
      if (found === "damaged") result = "damaged";
      else if (found === "absent" && next === root) result = "absent";
      if (typeof found === "string") continue;
      this.#followed.add(next.digest);
      const keys = await disksOf(found);
      if (keys === undefined) this.#hasUnknownDisks = true;
      for (const key of keys ?? []) this.#marked.add(key);
      for (const { digest, mediaType } of partsOf(found)) waiting.push({ digest, mediaType });
    }
    return result;
  }
}
