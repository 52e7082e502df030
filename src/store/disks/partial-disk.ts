/**
 * A partial disk that this process has locked: `disks/partial/<key>/{data, done, <offset>/{journal, borders}}`. The order of the steps that
 * end it, and what a death after each of them leaves:
 *
 *     window   fdatasync data, then a line in `done`  -> partial; the place is done, or resumed from its journal
 *              remove <offset>/                       -> the same
 *     commit   punch what no content covers, chmod, fsync data
 *              record what it holds                   -> partial, all of it done; rows without a disk say nothing
 *              rename data to disks/<alg>/<hex>       -> the disk is there, or after a power cut still in the folder
 *              fsync disks/<alg>, remove the folder   -> done; a folder beside a present disk is swept at the next chance
 *     discard  rename to <key>.trash, remove it       -> nothing partial is left under the key
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { toVarveError } from "../../errors/from-system.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { FileLock } from "../../sys/flock.ts";
import { syncNames } from "../durable.ts";
import { openData, trashOf } from "../ingest-folder.ts";
import type { StepHook } from "../ingest-place.ts";
import type { StoreLayout } from "../layout.ts";
import { PartialBlob } from "../partial-blob.ts";
import { copyContent } from "./copy-content.ts";
import { DiskFile } from "./disk-file.ts";
import { checkContents, type DiskRecords } from "./disk-records.ts";
import { DiskWindowPlace } from "./disk-window-place.ts";
import { DoneLog } from "./done-log.ts";
import { DonePlaces } from "./done-places.ts";
import { publishDisk, statDisk } from "./publish-disk.ts";
import type { DiskContent, DiskInfo, DiskWindow, PartialDisk, WindowOptions } from "./types.ts";

export interface LockedDiskOptions {
  readonly layout: StoreLayout;
  readonly records: DiskRecords;
  readonly key: Digest;
  readonly size: number;
  /** Held until the disk is committed, discarded or closed. */
  readonly lock: FileLock;
  readonly sync: boolean;
  readonly step: StepHook;
  /** As in `StoreOptions`. */
  readonly checkpointBytes?: number;
}

/** `ending` while a commit or discard is at work. */
type State = "open" | "ending" | "committed" | "discarded" | "closed";

export class LockedDisk implements PartialDisk {
  readonly key: Digest;
  readonly size: number;
  readonly #options: LockedDiskOptions;
  readonly #folder: string;
  readonly #file: DiskFile;
  readonly #places: DonePlaces;
  readonly #windows = new Set<AsyncDisposable>();
  #state: State = "open";
  #hasName = false;

  private constructor(options: LockedDiskOptions, folder: string, file: DiskFile, places: DonePlaces) {
    this.key = options.key;
    this.size = options.size;
    this.#options = options;
    this.#folder = folder;
    this.#file = file;
    this.#places = places;
  }

  /** Opens the key's partial data, new or as far as an earlier process got. The lock stays the caller's when this throws. */
  static async open(options: LockedDiskOptions): Promise<LockedDisk> {
    const { layout, key, size, sync } = options;
    const folder = layout.partialDisk(key);
    try {
      await using stack = new AsyncDisposableStack();
      await rm(trashOf(folder), { recursive: true, force: true });
      const done = await DoneLog.read(join(folder, "done"), options);
      // Of another disk, or by another program: nothing of it is known to be true.
      if (done === undefined) await rm(folder, { recursive: true, force: true });
      await mkdir(folder, { recursive: true });
      const handle = await openData(join(folder, "data"));
      const found = await handle.stat().catch(() => undefined);
      const resumed = (found?.size ?? 0) > 0;
      const file = stack.use(new DiskFile(handle, size, { resumed, what: `the disk ${key}` }));
      await handle.truncate(size);
      // Places were recorded when their bytes were durable, and the size with them: somebody else has changed the file.
      const credible = found?.size === size ? (done ?? []) : [];
      const places = stack.use(await DonePlaces.open(join(folder, "done"), options, credible, sync));
      if (sync) for (const path of [folder, layout.partialDisks, layout.disks, layout.root]) await syncNames(path);
      stack.move();
      return new LockedDisk(options, folder, file, places);
    } catch (error) {
      throw toVarveError(error, `opening the partial disk ${key} of ${size} bytes`);
    }
  }

  get path(): string {
    return this.#hasName ? this.#options.layout.disk(this.key) : join(this.#folder, "data");
  }

  isDone(content: DiskContent): boolean {
    return this.#places.has(content);
  }

  async window(content: DiskContent, options: WindowOptions = {}): Promise<DiskWindow> {
    const { blob, check = "first", signal } = options;
    const { sync, step, checkpointBytes } = this.#options;
    this.#mustBeOpen();
    const release = this.#places.occupy(content);
    let opened: PartialBlob | undefined;
    let kept = false;
    try {
      await this.#places.forgetOthers(content);
      const place = new DiskWindowPlace({
        content,
        file: this.#file,
        path: this.path,
        folder: this.#folder,
        ...(blob !== undefined && { blob }),
        onDone: (done) => this.#places.add(done),
        onClose: () => void (opened !== undefined && this.#windows.delete(opened)),
      });
      const window = await PartialBlob.open({
        folder: place,
        size: content.size,
        lock: { unlock: release },
        sync,
        step,
        ...(checkpointBytes !== undefined && { checkpointBytes }),
      });
      opened = window;
      this.#windows.add(window);
      kept = true;
      if (check === "first") await checkOrClose(window, signal);
      return Object.assign(window, { offset: content.offset, checkpoints: place.checkpoints });
    } finally {
      if (!kept) release();
    }
  }

  async copy(
    from: { readonly path: string; readonly offset: number },
    to: DiskContent,
    signal?: AbortSignal,
  ): Promise<void> {
    this.#mustBeOpen();
    if (this.isDone(to)) return;
    const release = this.#places.occupy(to);
    try {
      await this.#places.forgetOthers(to);
      await copyContent(this.#file, from, to, signal);
      this.#places.addCopied(to);
    } catch (error) {
      throw toVarveError(error, `copying ${to.digest} to its place in the disk ${this.key}`);
    } finally {
      release();
    }
  }

  async commit(contents: readonly DiskContent[]): Promise<DiskInfo> {
    this.#mustBeOpen();
    checkContents(contents, this.size);
    const missing = contents.find((content) => !this.isDone(content));
    if (missing !== undefined) throw this.#misuse(`was committed without ${missing.digest} at ${missing.offset}`);
    if (this.#places.isOccupied) throw this.#misuse("was committed while one of its places was written to");
    const { layout, records, step, sync, lock } = this.#options;
    this.#state = "ending";
    const path = join(this.#folder, "data");
    // From then on it is a disk of the store, and nobody's to write to, whatever else fails.
    const onNamed = (): void => {
      this.#state = "committed";
      this.#hasName = true;
    };
    try {
      await this.#punchBetween(contents);
      await this.#file.finish(sync);
      step("synced");
      await publishDisk({ layout, records, step, sync, path, contents, disk: this, onNamed });
    } catch (error) {
      this.#stayOpen();
      throw toVarveError(error, `storing the disk ${this.key}`);
    }
    // What cannot be removed goes at the next chance.
    await rm(this.#folder, { recursive: true, force: true }).catch(() => {});
    step("removed");
    lock.unlock({ remove: true });
    const info = await statDisk(layout.disk(this.key), this.key);
    return (
      info ?? { key: this.key, path: this.path, size: this.size, allocatedBytes: await this.#file.allocatedBytes() }
    );
  }

  async discard(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "ending";
    try {
      await this.#closeWindows();
      await discardFolder(this.#folder, this.#options.step);
      this.#state = "discarded";
      this.#options.lock.unlock({ remove: true });
    } catch (error) {
      this.#stayOpen();
      throw toVarveError(error, `discarding the partial disk ${this.key}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state === "closed") return;
    const wasOpen = this.#state === "open";
    this.#state = "closed";
    await this.#closeWindows();
    await this.#places[Symbol.asyncDispose]();
    // What holds nothing yet is no progress.
    if (wasOpen && this.#places.isEmpty && (await isBare(this.#folder))) {
      await rm(this.#folder, { recursive: true, force: true }).catch(() => {});
    }
    this.#options.lock.unlock({ remove: true });
    await this.#file[Symbol.asyncDispose]();
  }

  /** What was to end it has failed before it did. */
  #stayOpen(): void {
    if (this.#state === "ending") this.#state = "open";
  }

  async #punchBetween(contents: readonly DiskContent[]): Promise<void> {
    let end = 0;
    for (const { offset, size } of [...contents, { offset: this.size, size: 0 }]) {
      await this.#file.zero(end, offset - end);
      end = offset + size;
    }
  }

  async #closeWindows(): Promise<void> {
    for (const window of this.#windows) await window[Symbol.asyncDispose]();
  }

  #mustBeOpen(): void {
    if (this.#state === "open") return;
    throw new VarveError("INTERRUPTED", `the work on the disk ${this.key} was ended before it was complete`);
  }

  #misuse(what: string): VarveError {
    return new VarveError("INTERNAL", `the disk ${this.key} ${what}`);
  }
}

/** Sets a partial disk aside in one step, then removes it. */
export async function discardFolder(folder: string, step: StepHook): Promise<void> {
  await rm(trashOf(folder), { recursive: true, force: true });
  try {
    await rename(folder, trashOf(folder));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
  step("trashed");
  await rm(trashOf(folder), { recursive: true, force: true });
  step("removed");
}

/** No window has left any progress. */
async function isBare(folder: string): Promise<boolean> {
  const names = await readdir(folder).catch(() => ["unknown"]);
  return names.every((name) => name === "data" || name === "done");
}

async function checkOrClose(window: PartialBlob, signal: AbortSignal | undefined): Promise<void> {
  try {
    await window.checkClaims(signal === undefined ? {} : { signal });
  } catch (error) {
    await window[Symbol.asyncDispose]();
    throw error;
  }
}
