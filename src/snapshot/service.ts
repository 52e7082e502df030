/**
 * Snapshots as a whole: what is recorded of them (`store.snapshots`) and what lies on the disk (a driver), in step. Containerd's
 * snapshotter in its rules (formats layer-apply "Chain IDs and snapshot rules"), for any number of processes on one store.
 *
 * What a death at any point leaves is nothing, a folder that no row names, or an active snapshot; never a committed one that is not whole,
 * because of the order of the steps (sweep.ts clears up after them):
 *
 *     make      take an id and its lock, make the folder, record it
 *     commit    lock the name, lock the id, bind the folder and make it durable, record it: from here on it is there
 *     remove    lock the id, take the row out: from here on it is gone; remove the folder
 *
 * Nothing on the disk is done inside a transaction, and no transaction waits for more than its own log.
 */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { ApplyReport } from "../layer/report.ts";
import type { Digest } from "../oci/digest.ts";
import type { LockWaitOptions } from "../store/locks.ts";
import type { FieldPath, SnapshotEntry, SnapshotFilter } from "../store/snapshot-records.ts";
import type { Labels } from "../store/snapshot-row.ts";
import type { Store } from "../store/store.ts";
import { stagedKey, type StagedLayer } from "./staged.ts";
import { Steps, type BoundSnapshot, type SnapshotStep } from "./steps.ts";
import type { BindOptions, Driver, Mount, SnapshotInfo, Usage } from "./types.ts";

export type { SnapshotFilter } from "../store/snapshot-records.ts";
export type { StagedLayer } from "./staged.ts";

export interface SnapshotsOptions {
  readonly store: Store;
  readonly driver: Driver;
  /** Whether what is committed survives a power cut, unless the commit says otherwise. Default true. */
  readonly sync?: boolean;
  /** For tests: called after each step. */
  readonly step?: SnapshotStep;
}

export interface PrepareOptions {
  readonly labels?: Labels;
  readonly signal?: AbortSignal;
}

export interface CommitSnapshotOptions extends Omit<BindOptions, "claim"> {
  /** Name of the parent of a snapshot that has none yet. Default: it stays as it is. */
  readonly parent?: string;
  /** Default: none; those of the active snapshot are not taken over. */
  readonly labels?: Labels;
}

export interface CommittedSnapshot extends SnapshotInfo {
  /** Of a layer that was applied only as it was committed. */
  readonly report?: ApplyReport;
}

export class Snapshots {
  readonly driver: Driver;
  readonly #store: Store;
  readonly #steps: Steps;
  readonly #sync: boolean;

  constructor({ store, driver, sync = true, step = () => {} }: SnapshotsOptions) {
    this.driver = driver;
    this.#store = store;
    this.#steps = new Steps(store, driver, step);
    this.#sync = sync;
  }

  /**
   * A new snapshot to be written, on a committed one or on nothing.
   * @returns how to mount it
   * @throws VarveError `SNAPSHOT_EXISTS`; of the parent `SNAPSHOT_NOT_FOUND` and, when it is not committed, `SNAPSHOT_STATE`;
   * `SNAPSHOT_INVALID`, `NO_SPACE`, `PERMISSION`, `IO`
   */
  async prepare(key: string, parent?: string, options: PrepareOptions = {}): Promise<readonly Mount[]> {
    return this.#makeToMount(key, "active", parent, options);
  }

  /** The same, only to be read. */
  async view(key: string, parent?: string, options: PrepareOptions = {}): Promise<readonly Mount[]> {
    return this.#makeToMount(key, "view", parent, options);
  }

  /** How to mount an active snapshot or a view. @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE` of a committed one */
  async mounts(key: string): Promise<readonly Mount[]> {
    const found = await this.#find(key);
    if (found.kind !== "committed") return this.#mountsOf(found);
    throw new VarveError("SNAPSHOT_STATE", `${key} is committed and cannot be mounted itself`, {
      hint: "mount a view of it, or an active snapshot on it",
    });
  }

  /** @throws VarveError `SNAPSHOT_NOT_FOUND` */
  async stat(key: string): Promise<SnapshotInfo> {
    return infoOf(await this.#find(key));
  }

  /** Whether there is a committed snapshot of this name. Who wants to build on it leases its ChainID first (sweep.ts). */
  async has(name: string): Promise<boolean> {
    return (await this.#store.snapshots.get(this.driver.name, name))?.kind === "committed";
  }

  /**
   * Changes labels; one without a value is none.
   * @param paths which ones. Default: all, so that those that are not given are gone
   * @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_INVALID`
   */
  async update(key: string, labels: Labels, paths?: readonly FieldPath[]): Promise<SnapshotInfo> {
    return infoOf(await this.#store.snapshots.update(this.driver.name, key, labels, paths));
  }

  /**
   * What it takes on the disk without its parents: now, or of a committed one when it was committed.
   * @throws VarveError `SNAPSHOT_NOT_FOUND`
   */
  async usage(key: string): Promise<Usage> {
    const found = await this.#find(key);
    return found.kind === "committed" ? { bytes: found.bytes, inodes: found.inodes } : this.driver.usage(found);
  }

  /** Those that meet one of the filters, or all. Any of them may be asked for, changed or removed meanwhile. */
  async *walk(filters: readonly SnapshotFilter[] = []): AsyncGenerator<SnapshotInfo> {
    for await (const entry of this.#store.snapshots.walk(filters, this.driver.name)) yield infoOf(entry);
  }

  /**
   * Makes an active snapshot a committed one; its key is gone then.
   * @throws VarveError `SNAPSHOT_NOT_FOUND` (key or parent), `SNAPSHOT_STATE` (not active, or the parent is not committed),
   * `SNAPSHOT_EXISTS` (the name, perhaps because another process was first), `SNAPSHOT_INVALID` (another parent than the one that it
   * has), and what applying the layer has to say
   */
  async commit(name: string, key: string, options: CommitSnapshotOptions = {}): Promise<CommittedSnapshot> {
    const { parent: parentName, labels, ...binding } = options;
    const { snapshots, locks } = this.#store;
    const driver = this.driver.name;
    using _name = await locks.chain(`${driver} ${name}`, binding.signal);
    const { id } = (await snapshots.mayCommit(driver, key, name, parentName)).found;
    using _lock = await locks.snapshot(id, binding.signal);
    const { found, parent } = await snapshots.mayCommit(driver, key, name, parentName);
    if (found.id !== id) throw gone(key);
    const work = this.driver.bind.bind(this.driver);
    return committedOf(await this.#steps.bind(found, { name, parent, labels, work }, this.#binding(binding)));
  }

  /**
   * Removes a snapshot that none stands on, whatever it is.
   * @throws VarveError `SNAPSHOT_NOT_FOUND`, `SNAPSHOT_STATE` when others stand on it
   */
  async remove(key: string, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { id } = await this.#find(key);
    using _lock = await this.#store.locks.snapshot(id, options.signal);
    await this.#steps.takeOut(key, id);
  }

  /**
   * A place for a layer to be unpacked to before its parents are there. Give its key to {@link commit}; without that it is removed when
   * it is disposed, or by the next collection of garbage once this process has died.
   */
  async stage(diffId: Digest, options: { readonly signal?: AbortSignal } = {}): Promise<StagedLayer> {
    using starting = new DisposableStack();
    const before = async (id: number): Promise<void> => void starting.use(await this.#store.locks.stage(id));
    const staged = await this.#steps.make(stagedKey(diffId), "active", undefined, { ...options, diffId, before });
    const alive = starting.move();
    return {
      key: staged.key,
      target: this.driver.target(staged, diffId),
      [Symbol.asyncDispose]: async () => {
        using _alive = alive;
        if ((await this.#store.snapshots.getById(staged.id))?.kind === "active") await this.#drop(staged);
      },
    };
  }

  /**
   * The committed snapshot of a layer that is held unpacked already, under whatever parent, so that nothing need be unpacked again.
   * @returns undefined when it is not held
   * @throws VarveError as {@link commit}
   */
  async adopt(
    name: string,
    parentName: string | undefined,
    diffId: Digest,
    options: Omit<CommitSnapshotOptions, "parent"> = {},
  ): Promise<CommittedSnapshot | undefined> {
    const { labels, ...binding } = options;
    const { snapshots, locks } = this.#store;
    const driver = this.driver.name;
    // Asked first so that those who would be told no leave no traces.
    if (!(await this.driver.holds(diffId))) return undefined;
    using _name = await locks.chain(`${driver} ${name}`, binding.signal);
    const key = stagedKey(diffId);
    const { id, parent } = await this.#steps.reserve(key, parentName);
    using _alive = await locks.stage(id);
    // From this row on nobody removes what is held of the layer; so it is asked for again.
    const made = { id, parent: parent?.id };
    const found = await snapshots.create(driver, key, "active", parentName, { diffId, made });
    try {
      using _lock = await locks.snapshot(id);
      await snapshots.mayCommit(driver, key, name);
      if (await this.driver.holds(diffId)) {
        const work: Driver["bind"] = (record, parents, rest) => this.driver.adopt(record, parents, diffId, rest);
        return committedOf(await this.#steps.bind(found, { name, parent, labels, work }, this.#binding(binding)));
      }
    } catch (error) {
      await this.#drop(found);
      // What it would have been made of may have gone while it was.
      if (isVarveError(error, "SNAPSHOT_EXISTS") || (await this.driver.holds(diffId))) throw error;
      return undefined;
    }
    await this.#drop(found);
    return undefined;
  }

  /**
   * The right to unpack a layer, which one at a time has, in all processes. Who had to wait asks again whether the layer is there.
   * @throws VarveError `STORE_BUSY` with `wait: false`, `INTERRUPTED`
   */
  lockLayer(diffId: Digest, options: LockWaitOptions = {}): Promise<Disposable> {
    return this.#store.locks.layer(diffId, options);
  }

  #find(key: string): Promise<SnapshotEntry> {
    return this.#store.snapshots.find(this.driver.name, key);
  }

  #binding(options: BindOptions): BindOptions {
    return { sync: this.#sync, ...options };
  }

  /** One that cannot be mounted is not made, so that its key is free for another try. */
  async #makeToMount(
    key: string,
    kind: "active" | "view",
    parent: string | undefined,
    options: PrepareOptions,
  ): Promise<readonly Mount[]> {
    const made = await this.#steps.make(key, kind, parent, options);
    try {
      return await this.#mountsOf(made);
    } catch (error) {
      await this.#drop(made);
      throw error;
    }
  }

  async #mountsOf(entry: SnapshotEntry): Promise<readonly Mount[]> {
    return this.driver.mounts(entry, (await this.#store.snapshots.chain(entry.id)).slice(1));
  }

  /** Removes a snapshot that nobody has been told of. When that fails it is left, for it must not hide why it was given up. */
  async #drop({ key, id }: SnapshotEntry): Promise<void> {
    try {
      using _lock = await this.#store.locks.snapshot(id);
      await this.#steps.takeOut(key, id);
    } catch {
      // The collection of garbage sees that its process has given it up.
    }
  }
}

function infoOf(entry: SnapshotEntry): SnapshotInfo {
  const { key, kind, parentKey, labels, createdAt, updatedAt } = entry;
  return { key, kind, driver: entry.driver as SnapshotInfo["driver"], parent: parentKey, labels, createdAt, updatedAt };
}

function committedOf({ entry, report }: BoundSnapshot): CommittedSnapshot {
  return { ...infoOf(entry), ...(report !== undefined && { report }) };
}

function gone(key: string): VarveError {
  return new VarveError("SNAPSHOT_NOT_FOUND", `there is no snapshot ${key} any more`, { detail: { key } });
}
