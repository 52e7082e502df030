/**
 * The three things that happen to a snapshot, each with what is recorded and what lies on the disk, in the order that a death at any point
 * forgives (see service.ts). They hold the snapshot's own lock; names are locked by who calls.
 */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { ApplyReport } from "../layer/report.ts";
import type { Digest } from "../oci/digest.ts";
import type { Connection } from "../store/connection.ts";
import { StoreLayout } from "../store/layout.ts";
import type { SnapshotEntry } from "../store/snapshot-records.ts";
import type { Labels } from "../store/snapshot-row.ts";
import type { Store } from "../store/store.ts";
import { exists, folderIds, removeFolder } from "./folder.ts";
import type { BindOptions, Bound, Driver, SnapshotRecord } from "./types.ts";

/** Told after each step, so that tests can die there. */
export type SnapshotStep = (step: "reserved" | "made" | "recorded" | "bound" | "committed" | "out" | "removed") => void;

export interface MakeOptions {
  readonly labels?: Labels;
  /** The layer that it is to become. */
  readonly diffId?: Digest;
  readonly signal?: AbortSignal;
  /** Called with the id before there is anything of it. */
  readonly before?: (id: number) => Promise<void>;
}

export interface BindTo {
  readonly name: string;
  readonly parent: SnapshotEntry | undefined;
  readonly labels: Labels | undefined;
  /** What the driver does. */
  readonly work: (snapshot: SnapshotRecord, parents: readonly SnapshotRecord[], options: BindOptions) => Promise<Bound>;
}

export interface BoundSnapshot {
  readonly entry: SnapshotEntry;
  readonly report: ApplyReport | undefined;
}

export class Steps {
  readonly #store: Store;
  readonly #driver: Driver;
  readonly #layout: StoreLayout;
  readonly #step: SnapshotStep;

  constructor(store: Store, driver: Driver, step: SnapshotStep) {
    this.#store = store;
    this.#driver = driver;
    this.#layout = new StoreLayout(store.root);
    this.#step = step;
  }

  /** A new active snapshot or view: its folder, then its row. */
  async make(
    key: string,
    kind: "active" | "view",
    parentKey: string | undefined,
    options: MakeOptions = {},
  ): Promise<SnapshotEntry> {
    const { labels = {}, diffId, signal } = options;
    const { snapshots, locks } = this.#store;
    const driver = this.#driver.name;
    const { id, parent } = await this.reserve(key, parentKey);
    await options.before?.(id);
    using _lock = await locks.snapshot(id, signal);
    this.#step("reserved");
    const record = draft(id, driver, key, kind, parent, diffId, labels);
    try {
      await this.#driver.create(record, parent === undefined ? [] : await snapshots.chain(parent.id));
      this.#step("made");
      const made = { id, parent: parent?.id };
      const given = { made, labels, ...(diffId !== undefined && { diffId }) };
      const recorded = await snapshots.create(driver, key, kind, parentKey, given);
      this.#step("recorded");
      return recorded;
    } catch (error) {
      // What cannot be removed now is left for the collection of garbage; it must not hide what happened.
      await this.#removeFolder(record).catch(() => undefined);
      throw await this.#causeOf(error, parent);
    }
  }

  /** An id whose folder is free. It can only be taken where the database is newer than the folders, because the one before was lost. */
  async reserve(key: string, parentKey: string | undefined): Promise<{ id: number; parent?: SnapshotEntry }> {
    const { snapshots } = this.#store;
    const driver = this.#driver.name;
    const first = await snapshots.reserve(driver, key, parentKey);
    if (!(await exists(this.#layout.snapshot(first.id)))) return first;
    return snapshots.reserve(driver, key, parentKey, Math.max(...(await folderIds(this.#layout.snapshots))));
  }

  /** Makes an active snapshot a committed one: its folder first, durably; then its row. */
  async bind(found: SnapshotEntry, to: BindTo, options: BindOptions): Promise<BoundSnapshot> {
    const { snapshots } = this.#store;
    const { name, parent, labels } = to;
    const parents = parent === undefined ? [] : await snapshots.chain(parent.id);
    const claim = (diffId: Digest): Promise<void> => snapshots.claim(found.id, diffId);
    let bound: Bound;
    try {
      bound = await to.work(found, parents, { ...options, claim });
    } catch (error) {
      throw await this.#causeOf(error, parent);
    }
    this.#step("bound");
    const { bytes, inodes, diffId, tree, report } = bound;
    const entry = await snapshots.commit(found.driver, found.key, name, {
      usage: { bytes, inodes },
      made: { id: found.id, parent: parent?.id },
      ...(parent !== undefined && { parent: parent.key }),
      ...(diffId !== undefined && { diffId }),
      ...(tree !== undefined && { tree }),
      ...(labels !== undefined && { labels }),
    });
    this.#step("committed");
    await this.tidy(entry);
    return { entry, report };
  }

  /** Clears away what a committed snapshot does not need any more. What stays for now goes with the next sweep, or with the snapshot. */
  async tidy(committed: SnapshotEntry): Promise<void> {
    await this.#driver.committed?.(committed).catch(() => undefined);
  }

  /** Takes a snapshot's row out, then removes its folder. @throws VarveError as `SnapshotRecords.remove` */
  async takeOut(key: string, id: number): Promise<void> {
    const removed = await this.takeOutUnless(key, id, () => false);
    // Another has taken its key meanwhile: the one that was meant is gone.
    if (removed === undefined) throw new VarveError("SNAPSHOT_NOT_FOUND", `there is no snapshot ${key} any more`);
  }

  /**
   * The same, unless it is to stay.
   * @param unless asked in the transaction that takes it out
   * @returns the folders that were removed; undefined when it stays, or the key means another by now
   */
  async takeOutUnless(
    key: string,
    id: number,
    unless: (connection: Connection) => boolean,
  ): Promise<readonly number[] | undefined> {
    const stays = (connection: Connection, found: SnapshotEntry): boolean => found.id !== id || unless(connection);
    const removed = await this.#store.snapshots.remove(this.#driver.name, key, stays);
    if (removed === undefined) return undefined;
    this.#step("out");
    for (const folder of removed.folders) {
      if (folder === id) await this.#removeFolder(removed.snapshot);
      else await this.#removeShared({ ...removed.snapshot, id: folder, tree: undefined });
    }
    this.#step("removed");
    return removed.folders;
  }

  /** The folder of a snapshot that is gone long since. Who else is at it does it. */
  async #removeShared(owner: SnapshotRecord): Promise<void> {
    using lock = this.#store.locks.trySnapshot(owner.id);
    if (lock !== undefined) await this.#removeFolder(owner);
  }

  async #removeFolder(snapshot: SnapshotRecord): Promise<void> {
    await this.#driver.remove(snapshot);
    await removeFolder(this.#layout.snapshot(snapshot.id));
  }

  /** Who builds on a snapshot that is removed meanwhile meets all kinds of errors; that is the one to be told. */
  async #causeOf(thrown: unknown, parent: SnapshotEntry | undefined): Promise<unknown> {
    if (parent === undefined || isVarveError(thrown, "SNAPSHOT_NOT_FOUND")) return thrown;
    const still = await this.#store.snapshots.getById(parent.id).catch(() => parent);
    if (still !== undefined) return thrown;
    const message = `the snapshot ${parent.key} was removed while another was made on it`;
    return new VarveError("SNAPSHOT_NOT_FOUND", message, { cause: thrown, detail: { key: parent.key } });
  }
}

/** A snapshot as it will be recorded. */
function draft(
  id: number,
  driver: string,
  key: string,
  kind: "active" | "view",
  parent: SnapshotRecord | undefined,
  diffId: Digest | undefined,
  labels: Labels,
): SnapshotRecord {
  const now = new Date();
  const facts = { id, driver, key, kind, parent: parent?.id, diffId, labels };
  return { ...facts, tree: undefined, bytes: 0, inodes: 0, createdAt: now, updatedAt: now };
}
