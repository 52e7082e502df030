/**
 * What is recorded of snapshots: containerd's metadata store (formats "Metastore") over meta.db. It knows states and parents, nothing of
 * disks; every change is one transaction.
 */
import type { Digest } from "../oci/digest.ts";
import type { Connection } from "./connection.ts";
import type { Metadata } from "./database.ts";
import { isMeant, type SnapshotFilter } from "./snapshot-filter.ts";
import type {
  CommitOptions,
  Committing,
  CreateOptions,
  FieldPath,
  RemovedSnapshot,
  SnapshotEntry,
} from "./snapshot-record.ts";
import {
  changedLabels,
  committedParent,
  hasChild,
  isFolderNeeded,
  missing,
  notActive,
  parentFor,
  takeId,
  taken,
} from "./snapshot-rules.ts";
import {
  labelsText,
  mustBeKey,
  selectAfter,
  selectById,
  selectByKey,
  selectChain,
  type Labels,
} from "./snapshot-row.ts";

export type { SnapshotFilter } from "./snapshot-filter.ts";
export type * from "./snapshot-record.ts";

/** Rows read at a time: no statement stays open while the caller works. */
const PAGE = 200;

export class SnapshotRecords {
  readonly #metadata: Metadata;
  readonly #now: () => number;

  constructor(metadata: Metadata, now: () => number) {
    this.#metadata = metadata;
    this.#now = now;
  }

  /**
   * Finds out whether {@link create} would succeed, and sets an id aside for it, so that the folder can be made before there is anything
   * to be seen. An id is never given twice, also when nothing comes of it.
   * @param above ids up to this one are not to be given any more. Default 0
   * @throws VarveError as {@link create}
   */
  async reserve(
    driver: string,
    key: string,
    parentKey?: string,
    above = 0,
  ): Promise<{ id: number; parent?: SnapshotEntry }> {
    mustBeKey(key);
    return this.#change((connection) => {
      const parent = this.#admit(connection, driver, key, parentKey);
      return { id: takeId(connection, above), ...(parent !== undefined && { parent }) };
    });
  }

  /**
   * Records a new active snapshot or view.
   * @throws VarveError `SNAPSHOT_EXISTS`; of the parent `SNAPSHOT_NOT_FOUND` and, when it is not committed, `SNAPSHOT_STATE`;
   * `SNAPSHOT_INVALID` for a key or labels that cannot be
   */
  async create(
    driver: string,
    key: string,
    kind: "active" | "view",
    parentKey?: string,
    options: CreateOptions = {},
  ): Promise<SnapshotEntry> {
    mustBeKey(key);
    const { diffId = null, labels = {}, made } = options;
    const text = labelsText(labels);
    return this.#change((connection) => {
      const parent = this.#admit(connection, driver, key, parentKey);
      if (made !== undefined && made.parent !== parent?.id) missing(parentKey ?? key);
      const id = made?.id ?? takeId(connection, 0);
      const now = this.#now();
      connection.run(INSERT, id, driver, key, kind, parent?.id ?? null, diffId, text, now, now);
      return selectById(connection, id)!;
    });
  }

  async get(driver: string, key: string): Promise<SnapshotEntry | undefined> {
    const connection = await this.#metadata.readable();
    return connection && selectByKey(connection, driver, key);
  }

  async getById(id: number): Promise<SnapshotEntry | undefined> {
    const connection = await this.#metadata.readable();
    return connection && selectById(connection, id);
  }

  /** @throws VarveError `SNAPSHOT_NOT_FOUND` */
  async find(driver: string, key: string): Promise<SnapshotEntry> {
    return (await this.get(driver, key)) ?? missing(key);
  }

  /** The snapshot and its ancestors as they are at one moment, the nearest first. Empty when there is none of this id. */
  async chain(id: number): Promise<SnapshotEntry[]> {
    const connection = await this.#metadata.readable();
    return connection === undefined ? [] : selectChain(connection, id);
  }

  /** Ids of the ancestors, the nearest first. @throws VarveError `SNAPSHOT_NOT_FOUND` */
  async parentIds(driver: string, key: string): Promise<number[]> {
    const { id } = await this.find(driver, key);
    return (await this.chain(id)).slice(1).map((entry) => entry.id);
  }

  /** Committed snapshots of a layer, the oldest first. */
  async findByDiffId(driver: string, diffId: Digest): Promise<SnapshotEntry[]> {
    const connection = await this.#metadata.readable();
    const committed = "SELECT id FROM snapshots WHERE diff_id = ? AND driver = ? AND kind = 'committed' ORDER BY id";
    const rows = connection?.all(committed, diffId, driver) ?? [];
    return rows.flatMap(({ id }) => selectById(connection!, Number(id)) ?? []);
  }

  /** Ids of all snapshots of a layer, also of those that are only to become one. */
  async idsOfLayer(driver: string, diffId: Digest): Promise<number[]> {
    const connection = await this.#metadata.readable();
    const ids = connection?.all("SELECT id FROM snapshots WHERE diff_id = ? AND driver = ?", diffId, driver) ?? [];
    return ids.map(({ id }) => Number(id));
  }

  /** Whether a folder belongs to a snapshot, its own or one that shares the tree. */
  async needsFolder(id: number): Promise<boolean> {
    const connection = await this.#metadata.readable();
    return connection !== undefined && isFolderNeeded(connection, id);
  }

  /**
   * Changes labels; all else of a snapshot stays as it is.
   * @param paths which ones. Default: all of them, so that those not given are gone
   * @throws VarveError `SNAPSHOT_NOT_FOUND`; `SNAPSHOT_INVALID` for a path that cannot be changed
   */
  async update(driver: string, key: string, labels: Labels, paths?: readonly FieldPath[]): Promise<SnapshotEntry> {
    return this.#change((connection) => {
      const found = selectByKey(connection, driver, key) ?? missing(key);
      const text = labelsText(paths === undefined ? labels : changedLabels(found.labels, labels, paths));
      // Later than before whatever the clock says, so that a change always shows.
      const now = Math.max(this.#now(), found.updatedAt.getTime() + 1);
      connection.run("UPDATE snapshots SET labels = ?, updated_at = ? WHERE id = ?", text, now, found.id);
      return selectById(connection, found.id)!;
    });
  }

  /** Says which layer an active snapshot is to become. From then on nobody removes what is held of it. */
  async claim(id: number, diffId: Digest): Promise<void> {
    await this.#change((connection) =>
      connection.run("UPDATE snapshots SET diff_id = ? WHERE id = ? AND kind = 'active'", diffId, id),
    );
  }

  /**
   * Those that meet one of the filters, in the order in which they were made. Any of them may be changed or removed meanwhile; what is
   * added may be seen or not.
   * @param driver of this driver only. Default: of all
   */
  async *walk(filters: readonly SnapshotFilter[] = [], driver?: string): AsyncGenerator<SnapshotEntry> {
    const connection = await this.#metadata.readable();
    if (connection === undefined) return;
    let after = 0;
    for (;;) {
      const page = selectAfter(connection, after, PAGE, driver);
      for (const snapshot of page) if (isMeant(snapshot, filters)) yield snapshot;
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      after = last.id;
    }
  }

  /** Finds out whether {@link commit} would succeed, and what it would bring together. @throws VarveError as {@link commit} */
  async mayCommit(driver: string, key: string, name: string, parent?: string): Promise<Committing> {
    mustBeKey(name);
    return this.#change((connection) => this.#admitCommit(connection, driver, key, name, parent));
  }

  /**
   * Makes an active snapshot a committed one: its key vanishes for the name, its labels are those given, it is as if made now.
   * @throws VarveError `SNAPSHOT_NOT_FOUND` (key or parent), `SNAPSHOT_STATE` (not active, or the parent is not committed),
   * `SNAPSHOT_EXISTS` (the name), `SNAPSHOT_INVALID` (another parent than the one that it has)
   */
  async commit(driver: string, key: string, name: string, options: CommitOptions): Promise<SnapshotEntry> {
    mustBeKey(name);
    const { usage, tree = null, labels = {}, made } = options;
    const text = labelsText(labels);
    return this.#change((connection) => {
      const { found, parent } = this.#admitCommit(connection, driver, key, name, options.parent);
      if (made !== undefined && made.id !== found.id) missing(key);
      if (made !== undefined && made.parent !== parent?.id) missing(options.parent ?? found.parentKey ?? key);
      if (tree !== null && !isFolderNeeded(connection, tree)) missing(`tree of ${name}`);
      const now = this.#now();
      const diffId = options.diffId ?? found.diffId ?? null;
      const facts = [parent?.id ?? null, diffId, tree, usage.bytes, usage.inodes, text, now, now] as const;
      connection.run(COMMIT, name, ...facts, found.id);
      return selectById(connection, found.id)!;
    });
  }

  /**
   * Takes a snapshot out.
   * @param unless asked in the same transaction: a yes keeps it
   * @returns undefined when it was kept
   * @throws VarveError `SNAPSHOT_NOT_FOUND`; `SNAPSHOT_STATE` when others stand on it
   */
  async remove(
    driver: string,
    key: string,
    unless?: (connection: Connection, found: SnapshotEntry) => boolean,
  ): Promise<RemovedSnapshot | undefined> {
    return this.#change((connection) => {
      const found = selectByKey(connection, driver, key) ?? missing(key);
      if (unless?.(connection, found) === true) return undefined;
      const child = connection.get("SELECT key FROM snapshots WHERE parent = ?", found.id);
      if (child !== undefined) throw hasChild(found, String(child["key"]));
      connection.run("DELETE FROM snapshots WHERE id = ?", found.id);
      const folders = found.tree === undefined ? [found.id] : [found.id, found.tree];
      return { snapshot: found, folders: folders.filter((id) => !isFolderNeeded(connection, id)) };
    });
  }

  /**
   * Takes a layer away that is held apart from snapshots, unless one needs it: also one that is only being made (see {@link claim}).
   * @param unless asked in the same transaction: a yes keeps it
   * @param move moves its folder out of sight and says whether there was one. It is called within the transaction, so that whoever claims
   * the layer later sees it gone
   * @returns whether it was taken away
   */
  async dropLayer(
    driver: string,
    diffId: Digest,
    unless: (connection: Connection) => boolean,
    move: () => boolean,
  ): Promise<boolean> {
    return this.#change((connection) => {
      const needs = "SELECT 1 FROM snapshots WHERE diff_id = ? AND driver = ? LIMIT 1";
      if (connection.get(needs, diffId, driver) !== undefined || unless(connection)) return false;
      return move();
    });
  }

  /** Parents must be committed, keys free. @returns the parent */
  #admit(
    connection: Connection,
    driver: string,
    key: string,
    parentKey: string | undefined,
  ): SnapshotEntry | undefined {
    const parent = parentKey === undefined ? undefined : committedParent(connection, driver, parentKey);
    if (selectByKey(connection, driver, key) !== undefined) throw taken(key);
    return parent;
  }

  #admitCommit(connection: Connection, driver: string, key: string, name: string, parent?: string): Committing {
    const found = selectByKey(connection, driver, key) ?? missing(key);
    if (found.kind !== "active") throw notActive(found);
    if (selectByKey(connection, driver, name) !== undefined) throw taken(name);
    return { found, parent: parentFor(connection, found, parent) };
  }

  async #change<T>(work: (connection: Connection) => T): Promise<T> {
    const connection = await this.#metadata.writable();
    return connection.transaction(() => work(connection));
  }
}

const INSERT = `
  INSERT INTO snapshots (id, driver, key, kind, parent, diff_id, bytes, inodes, labels, created_at, updated_at)
  VALUES (?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?)`;

const COMMIT = `
  UPDATE snapshots SET key = ?, kind = 'committed', parent = ?, diff_id = ?, tree = ?, bytes = ?, inodes = ?, labels = ?,
    created_at = ?, updated_at = ? WHERE id = ?`;
