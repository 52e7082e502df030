/**
 * The store's disks: whole, verified raw files under their keys (see types.ts for the ways in). A key's lock is held while its disk is made or
 * removed, and its lease keeps it, as is done for blobs. All that it takes to work on disks is loaded when somebody does.
 */
import { rm, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError, VarveError } from "../../errors/varve-error.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { RemoveOptions } from "../content.ts";
import type { Metadata } from "../database.ts";
import type { StepHook } from "../ingest-place.ts";
import { ALGORITHMS, digestOfKey, type StoreLayout } from "../layout.ts";
import type { LockWaitOptions, StoreLocks } from "../locks.ts";
import type { DiskRecords } from "./disk-records.ts";
import type {
  DiskContent,
  DiskInfo,
  DiskLeft,
  HeldContent,
  PartialDisk,
  PartialDiskInfo,
  StagedDisk,
} from "./types.ts";

export interface DiskStoreOptions {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly metadata: Metadata;
  readonly readOnly: boolean;
  readonly sync: boolean;
  readonly isLeased: (key: Digest) => Promise<boolean>;
  readonly now: () => number;
  readonly step: StepHook;
  readonly checkpointBytes?: number;
}

export interface OpenDiskOptions extends LockWaitOptions {
  /** Make it though it is there: its bytes are not what they should be. It stays until the new one takes its place. Default false. */
  readonly anew?: boolean;
}

export class DiskStore {
  readonly #options: DiskStoreOptions;
  readonly #layout: StoreLayout;

  constructor(options: DiskStoreOptions) {
    this.#options = options;
    this.#layout = options.layout;
  }

  /** @returns undefined when the store lacks the disk @throws VarveError `STORE_CORRUPT` when it is no regular file */
  async stat(key: Digest): Promise<DiskInfo | undefined> {
    const { statDisk } = await import("./publish-disk.ts");
    return statDisk(this.#layout.disk(key), key);
  }

  /**
   * Whether the disk is there, for who has just leased its key: one that is being removed at this moment is not. A disk that someone is at
   * work on counts as not there; {@link open} waits for him.
   */
  async holds({ key, size }: { readonly key: Digest; readonly size: number }): Promise<boolean> {
    if ((await this.stat(key))?.size !== size) return false;
    const lock = this.#options.locks.tryDisk(key);
    if (lock === undefined) return false;
    try {
      return (await this.stat(key))?.size === size;
    } finally {
      lock.unlock({ remove: true });
    }
  }

  /** Where the disk lies if it is there. */
  pathOf(key: Digest): string {
    return this.#layout.disk(key);
  }

  /**
   * Locks the key and opens its partial disk, new or resumed. When the disk is there already, perhaps because the process that was waited
   * for finished it, the answer is its {@link DiskInfo}. One of another size was damaged, and is made anew; it stays until the new one takes
   * its place.
   * @throws VarveError `STORE_BUSY` with `wait: false`; `STORE_READ_ONLY`, `NO_SPACE`, `PERMISSION`, `IO`, `INTERRUPTED`
   */
  async open(
    { key, size }: { readonly key: Digest; readonly size: number },
    options: OpenDiskOptions = {},
  ): Promise<PartialDisk | DiskInfo> {
    this.#mustBeWritable();
    const lock = await this.#options.locks.disk(key, options);
    let kept = false;
    try {
      const present = await this.stat(key);
      if (present?.size === size && options.anew !== true) {
        await this.#removeFolder(key);
        return present;
      }
      const { LockedDisk } = await import("./partial-disk.ts");
      const disk = await LockedDisk.open({ ...this.#options, records: await this.#records(), key, size, lock });
      kept = true;
      return disk;
    } finally {
      if (!kept) lock.unlock({ remove: true });
    }
  }

  /** A file for a disk that comes whole. @throws VarveError `STORE_READ_ONLY`, `NO_SPACE`, `PERMISSION`, `IO` */
  async stage(): Promise<StagedDisk> {
    this.#mustBeWritable();
    const { StagedFile } = await import("./staged-disk.ts");
    return StagedFile.make({ ...this.#options, records: await this.#records() });
  }

  /** All whole disks, in no order. What is no regular file is left out. */
  async *list(): AsyncGenerator<DiskInfo> {
    const { namesIn } = await import("./names-in.ts");
    for (const algorithm of ALGORITHMS) {
      for (const name of await namesIn(this.#layout.diskDirectory(algorithm))) {
        const key = `${algorithm}:${name}`;
        if (!isDigest(key)) continue;
        const info = await this.stat(key).catch((error: unknown) => {
          if (isVarveError(error, "STORE_CORRUPT")) return undefined;
          throw error;
        });
        if (info !== undefined) yield info;
      }
    }
  }

  /** Bytes of disk space that take what was derived from a disk and lies beside it. */
  async derivedBytes(key: Digest): Promise<number> {
    const { measure } = await import("./measure.ts");
    return (await measure(this.#layout.diskIndex(key))).bytes;
  }

  /** What an earlier try left of a disk, whoever is at work on it. @throws VarveError `IO`, `PERMISSION` */
  async left(disk: { readonly key: Digest; readonly size: number }): Promise<DiskLeft> {
    const { readLeft } = await import("./disk-left.ts");
    return readLeft(this.#layout.partialDisk(disk.key), disk);
  }

  /** What there is of a disk that is not whole. */
  async partial(key: Digest): Promise<PartialDiskInfo | undefined> {
    const path = join(this.#layout.partialDisk(key), "data");
    const found = await stat(path).catch(() => undefined);
    return found && { key, path, allocatedBytes: found.blocks * 512, updatedAt: found.mtime };
  }

  /** All partial disks, also those that are being worked on, in no order. */
  async *partials(): AsyncGenerator<PartialDiskInfo> {
    const { namesIn } = await import("./names-in.ts");
    for (const name of await namesIn(this.#layout.partialDisks)) {
      const key = digestOfKey(name);
      const info = key && (await this.partial(key));
      if (info !== undefined) yield info;
    }
  }

  /**
   * Where the contents lie that this machine holds: for each digest that is found, one place in each disk that has it. Asks for some hundreds
   * at a time. Lease the key of a disk, and look again, before relying on its staying.
   */
  async findContents(digests: Iterable<Digest>): Promise<Map<Digest, HeldContent[]>> {
    const [{ inBatches }, records] = await Promise.all([import("./disk-records.ts"), this.#records()]);
    const found = new Map<Digest, HeldContent[]>();
    const disks = new Map<Digest, DiskInfo | undefined>();
    for (const batch of inBatches(digests)) {
      for (const { digest, key, offset, size } of await records.places(batch)) {
        if (!disks.has(key)) disks.set(key, await this.stat(key).catch(() => undefined));
        const disk = disks.get(key);
        // Rows may outlive their disk.
        if (disk === undefined || offset + size > disk.size) continue;
        const places = found.get(digest) ?? [];
        places.push({ key, path: disk.path, offset, size });
        found.set(digest, places);
      }
    }
    return found;
  }

  /** What a disk holds, in the order of its offsets; nothing when the store lacks it, or the database was lost since. */
  async contentsOf(key: Digest): Promise<DiskContent[]> {
    const records = await this.#records();
    return (await this.stat(key)) === undefined ? [] : records.contents(key);
  }

  /** Bytes that a disk had when it was recorded, whatever its file has; undefined when the database knows nothing of it. */
  async recordedSize(key: Digest): Promise<number | undefined> {
    return (await this.#records()).size(key);
  }

  /**
   * Says again what a disk holds, whose rows went with the database. The caller knows it from the image that the disk is of.
   * @returns whether the store has the disk, and its size is the one that was said
   * @throws VarveError `STORE_READ_ONLY`, `STORE_BUSY`; `INTERNAL` when the contents are not in order, apart and within the disk
   */
  async recordContents(
    disk: { readonly key: Digest; readonly size: number },
    contents: readonly DiskContent[],
  ): Promise<boolean> {
    this.#mustBeWritable();
    const { checkContents } = await import("./disk-records.ts");
    checkContents(contents, disk.size);
    const lock = await this.#options.locks.disk(disk.key, { wait: false });
    try {
      if ((await this.stat(disk.key))?.size !== disk.size) return false;
      await (await this.#records()).put(disk, contents);
      return true;
    } finally {
      lock.unlock({ remove: true });
    }
  }

  /**
   * Removes a disk unless someone is at work on it or holds a lease.
   * @returns whether it was removed
   */
  remove(key: Digest, options: RemoveOptions = {}): Promise<boolean> {
    return this.#removing(key, options, async () => {
      await unlink(this.#layout.disk(key));
      this.#options.step("unlinked");
      await rm(this.#layout.diskIndex(key), { recursive: true, force: true });
      await (await this.#records()).delete(key);
    });
  }

  /**
   * Drops what there is of a disk that is not whole, unless someone is at work on it or holds a lease.
   * @returns whether it was dropped
   */
  removePartial(key: Digest, options: RemoveOptions = {}): Promise<boolean> {
    return this.#removing(key, options, async () => {
      const { discardFolder } = await import("./partial-disk.ts");
      await discardFolder(this.#layout.partialDisk(key), this.#options.step);
    });
  }

  async #removing(key: Digest, { unless }: RemoveOptions, work: () => Promise<void>): Promise<boolean> {
    this.#mustBeWritable();
    const lock = this.#options.locks.tryDisk(key);
    if (lock === undefined) return false;
    try {
      // Asked under the lock: who leases a key and then locks it either sees the disk gone or has it kept.
      if (await this.#options.isLeased(key)) return false;
      if ((await unless?.()) === true) return false;
      await work();
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw toVarveError(error, `removing the disk ${key}`);
    } finally {
      lock.unlock({ remove: true });
    }
  }

  async #removeFolder(key: Digest): Promise<void> {
    await rm(this.#layout.partialDisk(key), { recursive: true, force: true }).catch(() => {});
  }

  async #records(): Promise<DiskRecords> {
    const { DiskRecords } = await import("./disk-records.ts");
    return new DiskRecords(this.#options.metadata, this.#options.now);
  }

  #mustBeWritable(): void {
    if (!this.#options.readOnly) return;
    throw new VarveError("STORE_READ_ONLY", `the store at ${this.#layout.root} is open for reading only`);
  }
}
