/**
 * The snapshot model, containerd's: an active snapshot is written, a view is read, a committed one is immutable and the only kind that
 * may be a parent. A committed layer of an image is named by its ChainID.
 */
import type { LayerTarget, UnpackedLayer } from "../layer/layer-target.ts";
import type { ApplyReport } from "../layer/report.ts";
import type { Digest } from "../oci/digest.ts";
import type { SnapshotRecord } from "../store/snapshot-records.ts";

export type { SnapshotKind, SnapshotRecord } from "../store/snapshot-records.ts";

export type DriverName = "erofs" | "overlay" | "copy";

/** One mount(2); several are carried out in order, each may use what the one before it made. */
export interface Mount {
  readonly type: "erofs" | "overlay" | "bind";
  readonly source: string;
  /** As mount(8) writes them: `ro`, `lowerdir=...`, `device=...`. */
  readonly options: readonly string[];
  /**
   * Where it goes when that is not the final target: a directory of the snapshot's own that a later mount names. It is let go again
   * (lazily detached) as soon as the last mount stands.
   */
  readonly target?: string;
}

export interface Usage {
  readonly bytes: number;
  readonly inodes: number;
}

export interface SnapshotInfo {
  readonly key: string;
  readonly kind: SnapshotRecord["kind"];
  readonly driver: DriverName;
  /** Name of the parent. */
  readonly parent: string | undefined;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** The layer's tar from local bytes, whenever asked for; rejects when this machine holds none. */
export type OpenTar = () => Promise<AsyncIterable<Uint8Array>>;

export interface BindOptions {
  /** What unpacking into `Driver.target` gave. Absent when the snapshot was written by its user. */
  readonly layer?: UnpackedLayer;
  /** For drivers, and for layers, that have to apply the tar onto the parent. */
  readonly tar?: OpenTar;
  /** Keep what gives the tar again of a layer that is applied as it is bound, since its blob does not stay (seekable/kept-split.ts). Default false. */
  readonly split?: boolean;
  /** Make the result durable. Default true. */
  readonly sync?: boolean;
  /** Also make what mounting it needs, so that the first mount costs nothing. Default false. */
  readonly ready?: boolean;
  readonly signal?: AbortSignal;
  /**
   * Set by the service. A driver calls it, and waits for it, before it puts a layer among those that are shared, or takes one from there,
   * whose DiffID nobody could know before: from then on nobody removes what is held of it. No need for `layer.diffId`.
   */
  readonly claim?: (diffId: Digest) => Promise<void>;
}

/** What a driver says of a snapshot that it has bound to its parent. */
export interface Bound extends Usage {
  /** Of the layer, where it is known. */
  readonly diffId?: Digest;
  /** The snapshot whose folder holds the tree, when it is shared. */
  readonly tree?: number;
  /** Of a layer that was applied only now. */
  readonly report?: ApplyReport;
}

/**
 * What knows how snapshots lie on the disk. Each call is idempotent: whoever was cut off in it may make it again, and nothing counts until
 * the service has recorded it. `parents` are committed snapshots, the nearest first.
 */
export interface Driver {
  readonly name: DriverName;
  /** Whether layers can be unpacked before their parents are there. */
  readonly parallel: boolean;
  /** Makes the folder of a new active snapshot or view. */
  create(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<void>;
  mounts(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[]): Promise<readonly Mount[]>;
  usage(snapshot: SnapshotRecord): Promise<Usage>;
  /** Where the tar of a layer is unpacked to; undefined when it is applied as it is bound (`BindOptions.tar`). */
  target(snapshot: SnapshotRecord, diffId: Digest): LayerTarget | undefined;
  /**
   * Makes an active snapshot's folder that of a committed one on these parents. They come late when the snapshot itself names no parent.
   */
  bind(snapshot: SnapshotRecord, parents: readonly SnapshotRecord[], options: BindOptions): Promise<Bound>;
  /** Whether an unpacked layer of this DiffID is held, under any parent, so that `adopt` needs no tar. */
  holds(diffId: Digest): Promise<boolean>;
  /** The folder of a new committed snapshot from an unpacked layer that is held. */
  adopt(
    snapshot: SnapshotRecord,
    parents: readonly SnapshotRecord[],
    diffId: Digest,
    options: BindOptions,
  ): Promise<Bound>;
  /** Called when `bind` has been recorded: what only the active snapshot needed may go. It may never be called, or twice. */
  committed?(snapshot: SnapshotRecord): Promise<void>;
  /** Removes the folder; a missing one is fine. */
  remove(snapshot: SnapshotRecord): Promise<void>;
}
