/** What is known of a repository of `/v2/` (see repositories.ts). */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";

/** `hosted`: pushed to this machine, and nowhere else perhaps. `mirror`: cached of another registry, which can be asked again. */
export type RepositoryOrigin = "hosted" | "mirror";

/** A hosted repository and a mirrored one may have one name. */
export interface RepositoryKey {
  readonly origin: RepositoryOrigin;
  /** Of a mirrored one `HOST/NAME`. */
  readonly name: string;
}

export interface BlobRecord {
  readonly digest: Digest;
  readonly size: number;
  /** To about a minute, see `Repositories.noteUse`. */
  readonly lastUsedAt: Date;
}

export interface ManifestRecord extends BlobRecord {
  readonly mediaType: string;
}

export interface TagRecord {
  readonly tag: string;
  readonly digest: Digest;
  /** When it was last put, be it to the digest that it had. */
  readonly updatedAt: Date;
}

export interface PutManifestOptions {
  /** Tags that are to name it. Default: none. */
  readonly tags?: readonly string[];
  /** What it refers to, and its entry in the list of that one's referrers. */
  readonly referrer?: { readonly subject: Digest; readonly descriptor: Descriptor };
  /** Asked in the same transaction: put it only when this tag or digest names what is `is` now. */
  readonly when?: { readonly reference: string; readonly is: (digest: Digest | undefined) => boolean };
}

export interface EvictOptions {
  readonly spare?: (digest: Digest, lastUsedAt: Date) => boolean;
}

/** One thing that a repository has. */
export interface RepositoryContent extends RepositoryKey {
  readonly kind: "blob" | "manifest";
  readonly digest: Digest;
  readonly size: number;
}

export interface RepositoryUsage {
  readonly repositories: number;
  /** Distinct digests. */
  readonly blobs: number;
  readonly bytes: number;
}

/** All rows of all tables, for a database that takes the place of a damaged one. */
export type RepositoryRows = Readonly<Record<string, readonly Readonly<Record<string, unknown>>[]>>;
