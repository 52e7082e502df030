/** What publishing deltas takes and gives. */
import type { Descriptor } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { OpenBlob } from "../../../registry/upload/blob-sink.ts";
import type { WrittenDelta } from "./write-manifest.ts";

/** A delta with its bytes. */
export interface PublishedDelta extends WrittenDelta {
  /** Its bytes from one on, to the end; asked again when a connection broke. */
  readonly open: OpenBlob;
}

export interface DeltasToPublish {
  /** The image that they make: its manifest, which is where they go. */
  readonly target: Descriptor;
  /** DiffIDs of the layers of the image that they are taken from, bottom to top. */
  readonly base: readonly Digest[];
  /** In the order of the target's layers; those in common with the base are left out. */
  readonly deltas: readonly PublishedDelta[];
}

export interface PublishResult {
  /** The delta manifest. */
  readonly manifest: Descriptor;
  /** Blobs that were written, and those that were there. */
  readonly copied: number;
  readonly present: number;
  /** For people, on what could not be done: the deltas can be found all the same. */
  readonly warnings: readonly string[];
}
