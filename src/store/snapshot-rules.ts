/** The rules of snapshots within a transaction: ids, parents, labels; and how it is told that one does not hold. */
import { VarveError } from "../errors/varve-error.ts";
import type { Connection } from "./connection.ts";
import type { SnapshotEntry } from "./snapshot-record.ts";
import { selectById, selectByKey, type Labels } from "./snapshot-row.ts";

/** The count that SQLite keeps for AUTOINCREMENT, one further. It has no row before the first insert. */
export function takeId(connection: Connection, above: number): number {
  const row = connection.get("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'");
  const id = Math.max(Number(row?.["seq"] ?? 0), above) + 1;
  if (row === undefined) connection.run("INSERT INTO sqlite_sequence (name, seq) VALUES ('snapshots', ?)", id);
  else connection.run("UPDATE sqlite_sequence SET seq = ? WHERE name = 'snapshots'", id);
  return id;
}

export function isFolderNeeded(connection: Connection, id: number): boolean {
  return connection.get("SELECT 1 FROM snapshots WHERE id = ? OR tree = ? LIMIT 1", id, id) !== undefined;
}

export function committedParent(connection: Connection, driver: string, key: string): SnapshotEntry {
  const parent = selectByKey(connection, driver, key) ?? missing(key);
  if (parent.kind === "committed") return parent;
  throw new VarveError(
    "SNAPSHOT_STATE",
    `the snapshot ${key} cannot be a parent: it is not committed but ${parent.kind}`,
  );
}

/** The parent that a snapshot has once it is committed: given late only where there was none. */
export function parentFor(
  connection: Connection,
  found: SnapshotEntry,
  parent: string | undefined,
): SnapshotEntry | undefined {
  if (found.parent !== undefined && parent !== undefined && parent !== found.parentKey) {
    throw new VarveError(
      "SNAPSHOT_INVALID",
      `${found.key} stands on ${found.parentKey} and cannot be put on ${parent}`,
    );
  }
  if (parent !== undefined) return committedParent(connection, found.driver, parent);
  return found.parent === undefined ? undefined : selectById(connection, found.parent);
}

export function changedLabels(has: Labels, given: Labels, paths: readonly string[]): Labels {
  const changed = new Map(Object.entries(has));
  for (const path of paths) {
    if (path === "labels") {
      changed.clear();
      for (const [name, value] of Object.entries(given)) changed.set(name, value);
    } else if (path.startsWith("labels.")) {
      const name = path.slice("labels.".length);
      changed.set(name, Object.hasOwn(given, name) ? (given[name] ?? "") : "");
    } else {
      throw new VarveError("SNAPSHOT_INVALID", `of a snapshot only labels can be changed, not ${path}`);
    }
  }
  return Object.fromEntries(changed);
}

export function missing(key: string): never {
  throw new VarveError("SNAPSHOT_NOT_FOUND", `there is no snapshot ${key}`, { detail: { key } });
}

export function taken(key: string): VarveError {
  return new VarveError("SNAPSHOT_EXISTS", `there is a snapshot ${key} already`, { detail: { key } });
}

export function notActive({ key, kind }: SnapshotEntry): VarveError {
  return new VarveError("SNAPSHOT_STATE", `${key} cannot be committed: it is not active but ${kind}`, {
    detail: { key },
  });
}

export function hasChild({ key }: SnapshotEntry, child: string): VarveError {
  return new VarveError("SNAPSHOT_STATE", `${key} cannot be removed: ${child} stands on it`, {
    detail: { key, child },
  });
}
