/**
 * A file beside the partial disks for one that comes whole from outside, `disks/partial/staged-<id>/disk`: in a folder of its own, because who
 * fills it may have files beside it on the way. All of it goes with the process that fills it.
 */
import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import { mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { syncNames } from "../durable.ts";
import type { StepHook } from "../ingest-place.ts";
import type { StoreLayout } from "../layout.ts";
import type { LockWaitOptions, StoreLocks } from "../locks.ts";
import { checkContents, type DiskRecords } from "./disk-records.ts";
import { publishDisk, statDisk } from "./publish-disk.ts";
import type { DiskContent, DiskInfo, StagedDisk } from "./types.ts";

const PREFIX = "staged-";

export interface StageOptions {
  readonly layout: StoreLayout;
  readonly locks: StoreLocks;
  readonly records: DiskRecords;
  readonly sync: boolean;
  readonly step: StepHook;
}

export class StagedFile implements StagedDisk {
  readonly path: string;
  readonly #options: StageOptions;
  readonly #folder: string;
  readonly #alive: Disposable;

  private constructor(options: StageOptions, folder: string, alive: Disposable) {
    this.path = join(folder, "disk");
    this.#folder = folder;
    this.#options = options;
    this.#alive = alive;
  }

  static async make(options: StageOptions): Promise<StagedFile> {
    const { layout, locks } = options;
    const id = randomUUID();
    const alive = await locks.stage(lockId(id));
    try {
      const folder = join(layout.partialDisks, PREFIX + id);
      await mkdir(folder, { recursive: true });
      return new StagedFile(options, folder, alive);
    } catch (error) {
      alive[Symbol.dispose]();
      throw toVarveError(error, "making room for a disk");
    }
  }

  async publish(key: Digest, contents: readonly DiskContent[], options: LockWaitOptions = {}): Promise<DiskInfo> {
    const { layout, locks, records, sync, step } = this.#options;
    const lock = await locks.disk(key, options);
    try {
      await using file = await open(this.path, constants.O_RDWR | constants.O_NOFOLLOW);
      const found = await file.stat();
      if (!found.isFile()) throw new VarveError("INTERNAL", `${this.path} is no file`);
      checkContents(contents, found.size);
      const present = await statDisk(layout.disk(key), key);
      if (present?.size !== found.size) {
        await file.chmod(0o444);
        if (sync) await file.sync();
        step("synced");
        const disk = { key, size: found.size };
        await publishDisk({ layout, records, step, sync, path: this.path, contents, disk });
        if (sync) await syncNames(layout.root);
      }
      await rm(this.#folder, { recursive: true, force: true });
      await rm(layout.partialDisk(key), { recursive: true, force: true });
      step("removed");
      return (await statDisk(layout.disk(key), key))!;
    } catch (error) {
      throw toVarveError(error, `storing the disk ${key}`);
    } finally {
      lock.unlock({ remove: true });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await rm(this.#folder, { recursive: true, force: true });
    } finally {
      this.#alive[Symbol.dispose]();
    }
  }
}

/** The id of a staged disk by its folder's name; undefined for any other name. */
export function stagedId(name: string): string | undefined {
  return name.startsWith(PREFIX) ? name.slice(PREFIX.length) : undefined;
}

/** What `StoreLocks.stage` knows it by. */
export function lockId(id: string): string {
  return `disk-${id}`;
}
