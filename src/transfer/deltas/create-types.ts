/** What making a delta between two images takes and tells. */
import type { DeltaThreads } from "../../delta/image/threads.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Platform } from "../../oci/platform.ts";
import type { TransferContext } from "../context.ts";
import type { Pair } from "./create-sides.ts";
import type { DeltaPlaces } from "./deliver.ts";
import type { LayerTars } from "./types.ts";

/**
 * `librsync`: an image that gives the target where the base is held, as balena's engine reads and makes it. `tar-diff`: a manifest beside the target
 * that names deltas of single layers.
 */
export const DELTA_FORMATS = ["librsync", "tar-diff"] as const;
export type DeltaFormat = (typeof DELTA_FORMATS)[number];

export interface CreateDeltaOptions {
  /** Default `librsync`. */
  readonly format?: DeltaFormat;
  /** What the delta is called in the store. Default: where it is not pushed, `delta:delta-` and eight hex digits that follow from both images' IDs. */
  readonly tag?: string;
  /**
   * A reference in a registry. A librsync delta becomes an image there, and where the target is in the same repository it can be found by that too; a
   * tar-diff delta has no other place than beside the target.
   */
  readonly push?: string;
  /**
   * Threads that compare, or compress what was compared, at the same time; not more than memory is there for. The result is the same with any. Default: one
   * per core, four at most.
   */
  readonly jobs?: number;
  /** Of both images. Default: those that were pulled, else this machine's. */
  readonly platform?: Platform;
}

export interface DeltaLayerResult {
  /** Of the target's layer. */
  readonly diffId: Digest;
  /**
   * `common`: the base has it at the same place; `delta`: of copies and what is new; `literal`: all of it, since a delta would be larger; `none`: left to
   * an ordinary pull, since a delta would gain nothing.
   */
  readonly how: "common" | "delta" | "literal" | "none";
  /** Of the layer's tar, and of the target's blob. */
  readonly bytes: number;
  readonly blobBytes: number;
  /** Of the delta itself, and as it goes over the wire; 0 of common layers and where there is none. */
  readonly deltaBytes: number;
  readonly deltaBlobBytes: number;
  /** Of the delta: what it is told in. */
  readonly commands: number;
  /** Bytes of the layer: as the base has them, as it has others of which the delta holds the differences, and new ones. */
  readonly copiedBytes: number;
  readonly addedBytes: number;
  readonly literalBytes: number;
  /** Whether the delta is smaller than the layer over the wire. */
  readonly helps: boolean;
  /** The layer that it is taken from; of librsync null, for it copies from the whole base. */
  readonly from: Digest | null;
}

export interface DeltaCreated {
  readonly format: DeltaFormat;
  /** As they were given. */
  readonly base: string;
  readonly target: string;
  readonly baseId: Digest;
  readonly targetId: Digest;
  /** Manifest of the delta: of the delta image, or of that which names tar-diff deltas; null where no layer gains by one of these. */
  readonly digest: Digest | null;
  /** The delta image's own ID; null of tar-diff. */
  readonly imageId: Digest | null;
  /** In full, where it is kept in the store. */
  readonly name: string | null;
  /** Where it was pushed to. */
  readonly pushed: string | null;
  /** Whether the repository has it as one of the target's deltas. */
  readonly isListed: boolean;
  readonly layers: readonly DeltaLayerResult[];
  /** Sums over layers that are not common: of the tars, and of the deltas; one that has none counts as itself. */
  readonly bytes: number;
  readonly deltaBytes: number;
  /** The same over the wire. */
  readonly blobBytes: number;
  readonly deltaBlobBytes: number;
  /** Whether any layer gains by it. */
  readonly helps: boolean;
  readonly durationMs: number;
  readonly peakRssBytes: number;
  readonly warnings: readonly string[];
}

/** What a maker of deltas works with. */
export interface DeltaWork {
  /** What it makes goes with this. */
  readonly held: AsyncDisposableStack;
  readonly places: DeltaPlaces;
  readonly tars: LayerTars;
  readonly threads: DeltaThreads;
  /** Threads at work at the same time. */
  readonly jobs: number;
}

/** Makes the deltas of one format, and puts them where they are to be. */
export type DeltaMaker = (
  context: TransferContext,
  pair: Pair,
  work: DeltaWork,
) => Promise<Pick<DeltaCreated, "digest" | "imageId" | "isListed" | "layers" | "warnings">>;
