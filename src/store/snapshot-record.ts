/** A snapshot as it is recorded, and what is said to change one. */
import type { Digest } from "../oci/digest.ts";
import type { Labels } from "./snapshot-row.ts";

export type SnapshotKind = "active" | "view" | "committed";

export interface SnapshotRecord {
  /** Never used again; names the folder. */
  readonly id: number;
  readonly driver: string;
  /** Of an active snapshot or view its key, of a committed one its name; one namespace per driver. */
  readonly key: string;
  readonly kind: SnapshotKind;
  /** Id of the parent. */
  readonly parent: number | undefined;
  /** Of a committed layer, where it is known; of an active one that is to become it. */
  readonly diffId: Digest | undefined;
  /** Id of the snapshot whose folder holds the tree, when it is not its own. That snapshot may be gone; its folder is not. */
  readonly tree: number | undefined;
  /** Usage when it was committed. */
  readonly bytes: number;
  readonly inodes: number;
  readonly labels: Labels;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** A snapshot as it is looked up. */
export interface SnapshotEntry extends SnapshotRecord {
  /** Key of the parent. */
  readonly parentKey: string | undefined;
}

/** Ids behind the names: by the time that a folder is made a name may mean another snapshot. */
export interface Made {
  readonly id: number;
  readonly parent: number | undefined;
}

export interface CreateOptions {
  /** What the folder was made for, as `SnapshotRecords.reserve` gave it. Default: a new id, and the parent of that name now. */
  readonly made?: Made;
  /** The layer that an active snapshot is to become. */
  readonly diffId?: Digest;
  readonly labels?: Labels;
}

export interface CommitOptions {
  /** Name of a parent that it gets only now, or of the one that it has. Default: the one that it has. */
  readonly parent?: string;
  readonly usage: { readonly bytes: number; readonly inodes: number };
  /** Default: the one that it was claimed for. */
  readonly diffId?: Digest;
  readonly tree?: number;
  /** Take the place of those that it had. Default: none. */
  readonly labels?: Labels;
  /** What the folder was bound for: another snapshot under the key, or another parent of the name, is `SNAPSHOT_NOT_FOUND`. */
  readonly made?: Made;
}

export interface Committing {
  readonly found: SnapshotEntry;
  readonly parent: SnapshotEntry | undefined;
}

export interface RemovedSnapshot {
  readonly snapshot: SnapshotRecord;
  /** Folders that nothing needs any more. */
  readonly folders: readonly number[];
}

/** `labels` for all of them, `labels.<name>` for one. */
export type FieldPath = "labels" | `labels.${string}`;
