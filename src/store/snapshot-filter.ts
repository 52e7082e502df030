/** Which snapshots are meant: containerd's filters, as values instead of text. */
import type { SnapshotEntry, SnapshotKind } from "./snapshot-record.ts";

/** All that is named must hold; of several filters one must. */
export interface SnapshotFilter {
  readonly kind?: SnapshotKind;
  /** The key, of a committed snapshot its name. A pattern finds itself anywhere in it. */
  readonly name?: string | RegExp;
  /** Name of the parent; empty for those that have none. */
  readonly parent?: string;
  /** Values of labels; `true` for any. */
  readonly labels?: Readonly<Record<string, string | true>>;
}

/** Without any filter all are meant. */
export function isMeant(snapshot: SnapshotEntry, filters: readonly SnapshotFilter[]): boolean {
  return filters.length === 0 || filters.some((filter) => holds(snapshot, filter));
}

function holds(snapshot: SnapshotEntry, { kind, name, parent, labels = {} }: SnapshotFilter): boolean {
  if (kind !== undefined && snapshot.kind !== kind) return false;
  if (parent !== undefined && (snapshot.parentKey ?? "") !== parent) return false;
  if (typeof name === "string" ? snapshot.key !== name : name !== undefined && snapshot.key.search(name) < 0) {
    return false;
  }
  return Object.entries(labels).every(([label, wanted]) => {
    const value = Object.hasOwn(snapshot.labels, label) ? snapshot.labels[label] : undefined;
    return value !== undefined && (wanted === true || value === wanted);
  });
}
