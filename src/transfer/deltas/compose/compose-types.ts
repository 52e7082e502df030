/** What merging two deltas takes and tells. */
import type { Digest } from "../../../oci/digest.ts";
import type { Platform } from "../../../oci/platform.ts";

export interface ComposeDeltasOptions {
  /** What the delta is called in the store. Default: where it is not pushed, as `delta create` calls one between the same images. */
  readonly tag?: string;
  /** A reference in a registry. */
  readonly push?: string;
  /** Of both deltas. Default: those that were pulled, else this machine's. */
  readonly platform?: Platform;
}

export interface ComposedLayerResult {
  /** Of the target's layer. */
  readonly diffId: Digest;
  /** `common`: the base has it at the same place; `delta`: made of the base and of what both deltas bring. */
  readonly how: "common" | "delta";
  /** Of the layer's tar; null of a layer in common whose size nobody says. */
  readonly bytes: number | null;
  /** Of the delta itself, and as it goes over the wire; 0 of common layers. */
  readonly deltaBytes: number;
  readonly deltaBlobBytes: number;
  /** Commands, and bytes of the layer that they make. */
  readonly copies: number;
  readonly copiedBytes: number;
  readonly literals: number;
  readonly literalBytes: number;
}

export interface DeltaComposed {
  /** As they were given. */
  readonly first: string;
  readonly second: string;
  /** Image IDs: what the first is made from, what it makes, and what the second makes of that. */
  readonly baseId: Digest;
  readonly middleId: Digest;
  readonly targetId: Digest;
  /** Of the delta's manifest. */
  readonly digest: Digest;
  readonly imageId: Digest;
  /** In full, where it is kept in the store. */
  readonly name: string | null;
  /** Where it was pushed to. */
  readonly pushed: string | null;
  readonly layers: readonly ComposedLayerResult[];
  /** Sums over the layers: of the deltas, and of them over the wire. */
  readonly deltaBytes: number;
  readonly deltaBlobBytes: number;
  /** The two deltas over the wire, for comparison. */
  readonly givenBlobBytes: number;
  readonly durationMs: number;
  readonly peakRssBytes: number;
  readonly warnings: readonly string[];
}
