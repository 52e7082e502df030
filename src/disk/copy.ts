/**
 * Copies a disk image so that it takes no more space than its data (sparse-files, 4): shared with the source where the file system can,
 * otherwise its data and not its holes. What is at the target is the old file or the whole new one, at any moment; a block device, and a
 * file that is to be updated in place, are written where they are.
 */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { setImmediate as turn } from "node:timers/promises";
import { toVarveError } from "../errors/from-system.ts";
import type { ErrorCode } from "../errors/table.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { ProgressSink } from "../recipe/progress.ts";
import type { Extent } from "../sys/sparse.ts";
import { COPY_CALLS, type CopyCalls } from "./copy-calls.ts";
import { fill, type Filled } from "./fill.ts";
import { reportOf, type DiskCopy } from "./copy-report.ts";
import { CopySource } from "./copy-source.ts";
import { FreshFile } from "./fresh-file.ts";
import { placeAt, type Place } from "./places.ts";
import type { SparseMode } from "./sparse-modes.ts";

export interface DiskCopyOptions {
  /** Default `auto`. */
  readonly sparse?: SparseMode;
  /** Whether to read the copy back and compare it with the source. Default false. */
  readonly verify?: boolean;
  /** Whether the copy may share blocks with the source. Default true; with `never` it does not. */
  readonly reflink?: boolean;
  /**
   * Whether a file that is there is changed where it differs, instead of being replaced when all is done: it needs no space for both, and is
   * neither the one nor the other meanwhile. Default false.
   */
  readonly inPlace?: boolean;
  /** Whether to wait until the copy is on the disk. Default true. */
  readonly sync?: boolean;
  /** Permissions of a new file, less the process's umask. Default: the source's. */
  readonly mode?: number;
  /** What is not whole is removed when it aborts; what is written in place stays as far as it is. */
  readonly signal?: AbortSignal;
  readonly onProgress?: ProgressSink;
}

type ResolvedOptions = Required<Omit<DiskCopyOptions, "mode">> & Pick<DiskCopyOptions, "mode">;

/** What one copy works with, defaults resolved. */
export interface CopyJob {
  readonly source: CopySource;
  /** Bytes in the source's runs of data. */
  readonly dataBytes: number;
  readonly path: string;
  readonly options: ResolvedOptions;
  readonly calls: CopyCalls;
}

/**
 * Copies the file `from` to `to`, a file or a block device. A new file gets the permissions of the source where no others are asked for, one
 * that replaces another those of that. Memory: some 8 MiB.
 *
 * @example
 * const { allocatedBytes } = await copyDisk("/vm/base.img", "/vm/one.img", { verify: true });
 *
 * @param calls for tests
 * @throws VarveError `FILE_NOT_FOUND`, `PATH_INVALID`, `SOURCE_CHANGED`, `NO_SPACE` before anything is written or when the disk is full all
 * the same, `COPY_DIFFERS`, `STORE_BUSY` for a device in use, `PERMISSION`, `IO`; the signal's reason
 */
export async function copyDisk(
  from: string,
  to: string,
  options: DiskCopyOptions = {},
  calls: CopyCalls = COPY_CALLS,
): Promise<DiskCopy> {
  const started = performance.now();
  const resolved = withDefaults(options);
  try {
    await using source = await CopySource.open(from, calls);
    const place = await placeAt(to, source, resolved.inPlace);
    const dataBytes = await countBytes(source.extents(), resolved.signal);
    const job: CopyJob = { source, dataBytes, path: to, options: resolved, calls };
    const filled = place.kind === "new" ? await makeFile(job, place) : await overwrite(job, place);
    const ended = { done: source.size, total: source.size, bytesPerSecond: 0, etaSeconds: 0 };
    resolved.onProgress({ type: "disk", path: to, phase: "done", copied: filled.counts.written, ...ended });
    return reportOf(job, filled, performance.now() - started);
  } catch (error) {
    resolved.signal.throwIfAborted();
    throw withHint(toVarveError(error, `copying ${from} to ${to}`));
  }
}

/** The usual hints name the store, which has no part in this. */
const HINTS: Partial<Record<ErrorCode, string>> = {
  NO_SPACE: "free some space, or copy it to another file system",
  STORE_READ_ONLY: "copy it to a file system that can be written",
};

function withHint(error: VarveError): VarveError {
  const { code, message, detail } = error;
  const hint = HINTS[code];
  return hint === undefined ? error : new VarveError(code, message, { hint, cause: error.cause, detail });
}

function withDefaults(options: DiskCopyOptions): ResolvedOptions {
  const { sparse = "auto", verify = false, reflink = true, inPlace = false, sync = true, mode } = options;
  const { signal = new AbortController().signal, onProgress = () => undefined } = options;
  return { sparse, verify, reflink, inPlace, sync, signal, onProgress, ...(mode !== undefined && { mode }) };
}

/** In turns, for a file may have millions of runs. */
async function countBytes(extents: Iterable<Extent>, signal: AbortSignal): Promise<number> {
  const RUNS = 2000;
  let [bytes, runs] = [0, 0];
  for (const { length } of extents) {
    bytes += length;
    if (++runs % RUNS === 0) await turn();
    signal.throwIfAborted();
  }
  return bytes;
}

async function makeFile(job: CopyJob, place: Place & { kind: "new" }): Promise<Filled> {
  const { source, options } = job;
  const { signal, mode = Number(source.stats.mode) & 0o777 } = options;
  signal.throwIfAborted();
  await using file = await FreshFile.create(place.path, mode, place.replaced);
  // At once, for whatever is under way then may take longer than whoever stopped it waits.
  const giveUp = (): void => file.removeName();
  signal.addEventListener("abort", giveUp, { once: true });
  try {
    const filled = await fill(job, { handle: file.handle, place });
    await source.assertUnchanged();
    signal.throwIfAborted();
    await file.publish(options.sync);
    return filled;
  } finally {
    signal.removeEventListener("abort", giveUp);
  }
}

async function overwrite(job: CopyJob, place: Exclude<Place, { kind: "new" }>): Promise<Filled> {
  const { source, path, options } = job;
  if (place.kind === "device" && place.size < source.size) {
    throw new VarveError("NO_SPACE", `${path} has ${place.size} bytes, and ${source.path} has ${source.size}`);
  }
  await using handle = await openInPlace(place);
  try {
    const filled = await fill(job, { handle, place });
    await source.assertUnchanged();
    return filled;
  } catch (error) {
    const what = place.kind === "device" ? "device" : "file";
    const message = `the ${what} ${path} is written in part: it is neither what it was nor a copy of ${source.path}`;
    options.onProgress({ type: "warning", message });
    throw error;
  }
}

async function openInPlace(place: Exclude<Place, { kind: "new" }>): Promise<FileHandle> {
  if (place.kind === "file") return open(place.path, "r+");
  try {
    // Of a device that means: not while it is mounted or otherwise in use.
    return await open(place.path, constants.O_RDWR | constants.O_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EBUSY") throw error;
    throw new VarveError("STORE_BUSY", `${place.path} is in use`, { cause: error, hint: "unmount it first" });
  }
}
