/** How a snapshot stands in the database, and what its key and labels may be. */
import { VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { Connection, Row } from "./connection.ts";
import type { SnapshotEntry, SnapshotKind } from "./snapshot-record.ts";

export type Labels = Readonly<Record<string, string>>;

/** Characters; containerd's own keys have about 110. */
const MAX_KEY_LENGTH = 1024;
/** Characters of a label's key and value together, as in containerd. */
const MAX_LABEL_LENGTH = 4096;

const SELECT = `
  SELECT s.id, s.driver, s.key, s.kind, s.parent, p.key AS parent_key, s.diff_id, s.tree, s.bytes, s.inodes, s.labels,
    s.created_at, s.updated_at
  FROM snapshots s LEFT JOIN snapshots p ON p.id = s.parent`;

export function selectByKey(connection: Connection, driver: string, key: string): SnapshotEntry | undefined {
  const row = connection.get(`${SELECT} WHERE s.driver = ? AND s.key = ?`, driver, key);
  return row && toEntry(row);
}

export function selectById(connection: Connection, id: number): SnapshotEntry | undefined {
  const row = connection.get(`${SELECT} WHERE s.id = ?`, id);
  return row && toEntry(row);
}

/** The next ones by id, of one driver or of all. */
export function selectAfter(
  connection: Connection,
  after: number,
  limit: number,
  driver: string | undefined,
): SnapshotEntry[] {
  const rows =
    driver === undefined
      ? connection.all(`${SELECT} WHERE s.id > ? ORDER BY s.id LIMIT ?`, after, limit)
      : connection.all(`${SELECT} WHERE s.id > ? AND s.driver = ? ORDER BY s.id LIMIT ?`, after, driver, limit);
  return rows.map(toEntry);
}

const CHAIN = `
  WITH RECURSIVE chain (id, depth) AS (
    SELECT ?, 0 UNION ALL SELECT snapshots.parent, depth + 1 FROM chain JOIN snapshots ON snapshots.id = chain.id
    WHERE snapshots.parent IS NOT NULL
  )
  ${SELECT} JOIN chain ON chain.id = s.id ORDER BY chain.depth`;

/** The snapshot and its ancestors, the nearest first. */
export function selectChain(connection: Connection, id: number): SnapshotEntry[] {
  return connection.all(CHAIN, id).map(toEntry);
}

function toEntry(row: Row): SnapshotEntry {
  return {
    id: row["id"] as number,
    driver: row["driver"] as string,
    key: row["key"] as string,
    kind: row["kind"] as SnapshotKind,
    parent: (row["parent"] as number | null) ?? undefined,
    parentKey: (row["parent_key"] as string | null) ?? undefined,
    diffId: (row["diff_id"] as Digest | null) ?? undefined,
    tree: (row["tree"] as number | null) ?? undefined,
    bytes: row["bytes"] as number,
    inodes: row["inodes"] as number,
    labels: JSON.parse(row["labels"] as string) as Labels,
    createdAt: new Date(row["created_at"] as number),
    updatedAt: new Date(row["updated_at"] as number),
  };
}

/** @throws VarveError `SNAPSHOT_INVALID` */
export function mustBeKey(key: string): void {
  // oxlint-disable-next-line no-control-regex
  if (key.length > 0 && key.length <= MAX_KEY_LENGTH && !/[\u0000-\u001f\u007f]/.test(key)) return;
  throw new VarveError("SNAPSHOT_INVALID", `not a snapshot's key: ${JSON.stringify(key.slice(0, 160))}`);
}

/** Labels as they are stored; one whose value is empty is none, as in containerd. @throws VarveError `SNAPSHOT_INVALID` */
export function labelsText(labels: Labels): string {
  const kept = Object.entries(labels).filter(([, value]) => value !== "");
  for (const [key, value] of kept) {
    if (key !== "" && key.length + value.length <= MAX_LABEL_LENGTH) continue;
    throw new VarveError(
      "SNAPSHOT_INVALID",
      `the label ${JSON.stringify(key.slice(0, 160))} has no name or is longer than ${MAX_LABEL_LENGTH} characters`,
    );
  }
  return JSON.stringify(Object.fromEntries(kept));
}
