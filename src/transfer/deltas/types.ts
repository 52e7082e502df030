/** What pulls, creation and discovery of deltas agree on. */
import type { VarveError } from "../../errors/varve-error.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";
import type { How, Plan } from "../../plan/plan.ts";
import type { Replanned } from "../../recipe/assembler.ts";
import type { BlobSource } from "../../registry/blob-source.ts";
import type { Ingest } from "../../store/types.ts";
import type { UnpackTask } from "../present-layer.ts";

/** A delta that makes one layer's tar. */
export interface LayerDelta {
  readonly how: "librsync-delta" | "tar-diff";
  /** The layer that it makes. */
  readonly diffId: Digest;
  /** Its bytes: for librsync a tar of one file, in any compression of layers; for tar-diff the file as it is. */
  readonly blob: Descriptor;
  /** The repository that has the blob. */
  readonly reference: Reference;
  /** DiffIDs of what it copies from: all layers of an image, bottom to top (librsync), or one layer (tar-diff). */
  readonly base: readonly Digest[];
  /** Bytes of the layer's tar, where the delta's maker said so; not to be trusted before the DiffID is right. */
  readonly size?: number;
  /** What has to come before it, because other deltas make a part of its base. Default: nothing, all of the base is held. */
  readonly via?: DeltaVia;
}

/** The part of one delta in what others share with it. */
export interface DeltaVia {
  /** Deltas that make what is not held of its base. */
  readonly deltas: number;
  /** Of their blobs. */
  readonly bytes: number;
  /** Of the tars that they make, where that is said. */
  readonly made: number;
}

/** Where the blobs of deltas come from. */
export interface DeltaPlace {
  readonly blobs: BlobSource;
  /** Whether it serves ranges; undefined when nobody knows. */
  ranges(): boolean | undefined;
  /** What it sent under this digest was something else. */
  distrust(digest: Digest): void;
}

/** The deltas that a pull may use. */
export interface LayerDeltas extends AsyncDisposable {
  /** Those for a layer whose bases are all held, best first. */
  of(task: UnpackTask): Promise<readonly LayerDelta[]>;
  /** Whether there is no other way to the layers, since a delta image was asked for by name: a delta that fails is the pull's error. */
  readonly isOnlyWay: boolean;
  /** Where their blobs come from. Default: the registry, each from its repository. */
  readonly place?: DeltaPlace;
}

export interface HasOptions {
  /** Whether what only the documents of the own store's images tell counts as not here: reading all of them takes a while. Default false. */
  readonly quick?: boolean;
}

/** Tars of the layers that this machine holds, in its store and in those that `--delta-root` names. */
export interface LayerTars extends AsyncDisposable {
  has(diffId: Digest, options?: HasOptions): Promise<boolean>;
  /** Protected from collection until it is disposed of. @throws VarveError `DELTA_BASE_MISSING`, `NO_SPACE`, `IO` */
  open(diffId: Digest, signal?: AbortSignal): Promise<SeekableTar>;
  /** The image config of this digest, where some place has it. */
  config(imageId: Digest): Promise<Uint8Array | undefined>;
}

/** A layer's tar that is to be made of pieces, whatever tells which. Holds what it names; dispose of it when the tar is made. */
export interface TarPlan extends AsyncDisposable {
  readonly how: How;
  /** Its target is the tar, under its DiffID. Less what an earlier try has left. */
  readonly plan: Plan;
  readonly why: string;
  /** For `AssembleOptions.replan`. */
  readonly replan: (error: VarveError) => Promise<Replanned | undefined>;
  /** Told of the tar's ingest before it is filled: what it has, or claims to have, need not be made. */
  readonly goOn?: (ingest: Pick<Ingest, "done" | "claimed">) => void;
  /** To be called when the layer is held unpacked. Never rejects. */
  readonly remember: () => Promise<void>;
}
