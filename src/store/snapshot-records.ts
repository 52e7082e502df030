/**
 * What is recorded of snapshots: containerd's metadata store (formats "Metastore") over meta.db. It knows states and parents, nothing of
 * disks; every change is one transaction.
 */
import type { Digest } from "../oci/digest.ts";

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
  /** Of a committed layer, where it is known. */
  readonly diffId: Digest | undefined;
  /** Id of the snapshot whose folder holds the tree, when it is not its own. */
  readonly tree: number | undefined;
  /** Usage when it was committed. */
  readonly bytes: number;
  readonly inodes: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}
