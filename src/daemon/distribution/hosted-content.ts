/**
 * Repositories that can be written to. Bytes are checked before they come here: an implementation stores what it is given under the digest it
 * is given. Every method may run beside every other; a deletion beside a read leaves the read its bytes.
 */
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ContentSource, ServedManifest } from "./types.ts";

export interface PushedManifest {
  readonly manifest: Pick<ServedManifest, "digest" | "mediaType" | "bytes">;
  /** Tags that are to name it from now on. */
  readonly tags: readonly string[];
  /** What it refers to, and its entry among that one's referrers. */
  readonly referrer?: { readonly subject: Digest; readonly descriptor: Descriptor };
  /** Put it only while this tag or digest names what `is` says, in one step with the look. */
  readonly when?: { readonly reference: string; readonly is: (digest: Digest | undefined) => boolean };
}

export interface HostedContent extends ContentSource {
  /** Its size when a repository has the blob. */
  hasBlob(name: string, digest: Digest): Promise<number | undefined>;
  hasManifest(name: string, digest: Digest): Promise<boolean>;
  /** @returns false, and nothing is changed, when `when` says no */
  putManifest(name: string, pushed: PushedManifest): Promise<boolean>;
  /**
   * Makes a file a blob of a repository by moving it: it lies in the same file system, and nobody writes to it any more.
   * @param signal ends waiting for others who are at work on the same digest
   */
  adoptBlob(name: string, digest: Digest, file: string, signal: AbortSignal): Promise<void>;
  /**
   * Makes a blob of another repository one of this as well.
   * @param from undefined: of any that can be pushed to
   * @returns false when that has no such blob
   */
  mountBlob(name: string, digest: Digest, from: string | undefined): Promise<boolean>;
  /**
   * Makes a blob one of this repository that lies here for another reason, such as for a mirror; the caller knows that whoever pushes may read it.
   * Where this is missing nothing lies here for another reason. @returns false when it does not
   */
  keepBlob?(name: string, digest: Digest): Promise<boolean>;
  /** With the tags that name it and its entry among the referrers of its subject. @returns whether there was one */
  deleteManifest(name: string, digest: Digest): Promise<boolean>;
  /** @returns whether there was one */
  deleteTag(name: string, tag: string): Promise<boolean>;
  /** Of this repository alone. @returns whether there was one */
  deleteBlob(name: string, digest: Digest): Promise<boolean>;
}
