/** What is asked about a delta, and what is said of it. */
import type { Digest } from "../../oci/digest.ts";
import type { Platform } from "../../oci/platform.ts";
import type { LayerDelta } from "./types.ts";

export interface InspectDeltaOptions {
  /** Of a delta in an index. Default: this machine's. */
  readonly platform?: Platform;
  /** Directories, stores or layouts, that layers of the base may be in besides the store. Default: none. */
  readonly deltaRoots?: readonly string[];
}

/** One of the two images, as far as the delta says which it is. */
export interface DeltaEnd {
  readonly imageId: Digest | null;
  /** Names that the store has for it. */
  readonly names: readonly string[];
}

export interface InspectedLayer {
  /** Of the target's layer; lists that others made may have the digest of its blob. */
  readonly diffId: Digest;
  /** `common`: left out, for the base has it. */
  readonly how: LayerDelta["how"] | "common";
  readonly blob: Digest;
  /** Of the layer's tar; null of one in common where nobody says. */
  readonly bytes: number | null;
  /** Of the delta, and as it goes over the wire; of librsync in a tar, compressed. */
  readonly deltaBytes: number;
  readonly deltaBlobBytes: number;
  /** Of the delta: what it is told in. */
  readonly commands: number;
  /** Bytes of the layer: as the base has them, as it has others of which the delta holds the differences, and new ones. */
  readonly copiedBytes: number;
  readonly addedBytes: number;
  readonly literalBytes: number;
  /** DiffIDs, or digests of blobs, of what it is taken from. */
  readonly from: readonly Digest[];
  /** Whether all of that is here. */
  readonly isBaseHere: boolean;
}

export interface DeltaDetails {
  readonly name: string;
  /** `list`: a manifest of deltas of single layers. */
  readonly kind: "image" | "list";
  /** Of its manifest. */
  readonly digest: Digest;
  readonly base: DeltaEnd & {
    /** Bottom to top; null where the delta does not say and the base is not here. */
    readonly diffIds: readonly Digest[] | null;
  };
  readonly target: DeltaEnd & {
    /** Of its manifest, where the delta says. */
    readonly manifest: Digest | null;
  };
  /** Whether all that its deltas are taken from is here, so that it can be applied. */
  readonly isApplicable: boolean;
  readonly layers: readonly InspectedLayer[];
  /** Sums over the layers that are not left out. */
  readonly bytes: number;
  readonly deltaBytes: number;
  readonly deltaBlobBytes: number;
}
