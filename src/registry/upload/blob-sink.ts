/**
 * What pushing needs of a repository in a registry: blobs, manifests, referrers (distribution-spec "Push"). Credentials, retries,
 * redirects and resuming happen inside; mirrors are never written to.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Document } from "../../oci/manifest.ts";
import type { Caller } from "../attempts.ts";
import type { Resolved } from "../manifests.ts";
import type { IndexChange } from "./change-index.ts";

/**
 * Opens a blob's bytes from `start` on, to its end. It is asked again, for another place, when a connection broke, and has to give
 * the same bytes then. A chunk belongs to the sink once it was given.
 */
export type OpenBlob = (start: number) => AsyncIterable<Uint8Array>;

export interface PutBlobOptions extends Caller {
  /**
   * Bytes per request. A registry's own minimum is kept to. Default: all in one request; a registry that takes less at once is
   * given 64 MiB, then a quarter of that, and so on.
   */
  readonly chunkSize?: number | undefined;
}

export interface PutManifestResult {
  readonly digest: Digest;
  /** Where the registry says that it is. */
  readonly location?: URL;
  /** The subject that the manifest refers to, if it has one: from now on listed as its referrer. */
  readonly subject?: Digest;
  /** The tag under which referrers are listed, at a registry that does not list them by itself. */
  readonly fallbackTag?: string;
}

export interface BlobSink {
  /** Whether the repository has the blob. False also where that cannot be told without sending it. */
  has(blob: Descriptor, caller?: Caller): Promise<boolean>;

  /**
   * Has the registry take the blob over from another of its repositories.
   *
   * @param from Its name, as in the name of an image. Without one the registry may look for itself.
   * @returns whether it did; false is no failure, and then {@link putBlob} goes on with what was begun
   */
  mount(blob: Descriptor, from: string | undefined, caller?: Caller): Promise<boolean>;

  /**
   * Sends a blob, unless the repository has it. Nothing is published whose digest is not the blob's, whatever `open` gives: the
   * last bytes are sent when the digest of all of them is known.
   *
   * @returns `present` when nothing had to be sent
   * @throws VarveError `DIGEST_MISMATCH`, `SIZE_MISMATCH` when `open` gives other bytes, `SOURCE_CHANGED` when it gives others when
   * asked again, whatever `open` throws; `UNAUTHORIZED`, `DENIED`, `REPOSITORY_UNKNOWN`, `REGISTRY_*`
   */
  putBlob(blob: Descriptor, open: OpenBlob, options?: PutBlobOptions): Promise<"sent" | "present">;

  /** What a tag or digest means in the repository itself, not in a mirror; undefined when it has none such. */
  resolve(tagOrDigest: string, caller?: Caller): Promise<Resolved | undefined>;

  /** What the repository itself lists as referring to a manifest, not a mirror; nothing where it may not be asked. */
  referrers(subject: Digest, caller?: Caller): Promise<readonly Descriptor[]>;

  /**
   * Puts a manifest or an index. All that it names has to be there. One with a subject is listed as its referrer afterwards, at
   * whatever registry.
   *
   * @param tagOrDigest Default: the document's digest.
   * @throws VarveError `MANIFEST_INVALID`, `MANIFEST_TOO_LARGE`, `DIGEST_MISMATCH`, `BLOB_UNKNOWN` when the registry misses a part of
   * it, `UNAUTHORIZED`, `DENIED`, `REGISTRY_*`
   */
  putManifest(document: Document, tagOrDigest?: string, caller?: Caller): Promise<PutManifestResult>;

  /**
   * Changes an index that stands under a tag, or makes it, where others may be doing so too: what they add meanwhile stays.
   *
   * @throws VarveError `MANIFEST_INVALID` when something else is under the tag, `REGISTRY_UNAVAILABLE` when others come in between each time,
   * `UNAUTHORIZED`, `DENIED`, `REGISTRY_*`
   */
  changeIndex(change: IndexChange, caller?: Caller): Promise<void>;
}
