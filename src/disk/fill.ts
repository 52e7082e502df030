/** Fills an open target with a source's content, in the way that this target and this file system allow, until it is on the disk. */
import type { FileHandle } from "node:fs/promises";
import { dirname } from "node:path";
import { formatBytes } from "../errors/amounts.ts";
import { toVarveError } from "../errors/from-system.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { CopyJob } from "./copy.ts";
import { copyData, type CopyDataOptions } from "./copy-data.ts";
import { CopyMeter } from "./copy-meter.ts";
import {
  CountingTarget,
  DeviceTarget,
  EmptyTarget,
  SharedTarget,
  UpdatedTarget,
  type CopyCounts,
  type CopyTarget,
} from "./copy-targets.ts";
import type { Place } from "./places.ts";
import { verifyCopy } from "./verify-copy.ts";

export interface OpenTarget {
  readonly handle: FileHandle;
  readonly place: Place;
}

export interface Filled {
  readonly isShared: boolean;
  /** Whether zeros were looked for, or only holes taken over. */
  readonly isSearched: boolean;
  readonly counts: Readonly<CopyCounts>;
  /** What the target takes now; undefined of a device. */
  readonly allocatedBytes: number | undefined;
  /** What a device has behind the copy. */
  readonly bytesBehind: number;
}

/** File systems without holes, by statfs(2)'s number: FAT, exFAT. A file takes its whole length there. */
const HOLELESS: ReadonlySet<number> = new Set([0x4d44, 0x2011bab0]);

/** @throws VarveError `NO_SPACE`, `SOURCE_CHANGED`, `COPY_DIFFERS`, `IO`; NodeJS.ErrnoException; the signal's reason */
export async function fill(job: CopyJob, target: OpenTarget): Promise<Filled> {
  const { source, path, options, calls } = job;
  const { sparse, sync, verify } = options;
  const { handle, place } = target;
  const finds = sparse === "never" ? "all" : sparse === "auto" && source.tellsHoles ? "map" : "zeros";
  const isShared = await share(job, target);
  const written = isShared ? await cutShared(job, target, finds) : await write(job, target, finds);
  if (sync) {
    await calls.sync(handle.fd).catch((error: unknown) => {
      throw toVarveError(error, `${path} could not be written out to the disk`);
    });
  }
  if (verify) await check(job, target);
  const isDevice = place.kind === "device";
  const stats = isDevice ? undefined : await handle.stat();
  return {
    isShared,
    isSearched: finds === "zeros",
    counts: written.counts,
    allocatedBytes: stats === undefined ? undefined : stats.blocks * 512,
    bytesBehind: isDevice ? place.size - source.size : 0,
  };
}

async function share({ source, options, calls }: CopyJob, { handle, place }: OpenTarget): Promise<boolean> {
  if (!options.reflink || options.sparse === "never" || place.kind === "device" || source.size === 0) return false;
  if (!(await calls.reflink(source.descriptor, handle.fd))) return false;
  // A longer file that is updated keeps its tail.
  await handle.truncate(source.size);
  return true;
}

/** The data is there; of zeros, which cost nothing where they are shared, only `always` makes holes. */
async function cutShared(job: CopyJob, { handle }: OpenTarget, finds: CopyDataOptions["finds"]): Promise<CopyTarget> {
  const { source, options, calls } = job;
  if (options.sparse === "always") {
    return run(job, new SharedTarget({ descriptor: handle.fd, calls }), finds);
  }
  const counting = new CountingTarget();
  const data = source.tellsHoles ? job.dataBytes : source.size;
  counting.counts.unchanged = data;
  counting.counts.holes = source.size - data;
  return counting;
}

async function write(job: CopyJob, open: OpenTarget, finds: CopyDataOptions["finds"]): Promise<CopyTarget> {
  const { source, calls } = job;
  const { handle, place } = open;
  const file = { descriptor: handle.fd, calls };
  if (place.kind === "device") return run(job, new DeviceTarget(file), finds);
  await assertSpace(job, place, finds);
  await handle.truncate(source.size);
  const isReserved = finds === "all" && (await calls.allocate(handle.fd, 0, source.size));
  const isUpdated = place.kind === "file" && (finds !== "all" || isReserved);
  return run(job, isUpdated ? new UpdatedTarget(file) : new EmptyTarget(file), finds);
}

async function run(job: CopyJob, target: CopyTarget, finds: CopyDataOptions["finds"]): Promise<CopyTarget> {
  const { source, options, calls } = job;
  const progress = meter(job, "copying", () => target.counts.written);
  await copyData(source, target, {
    calls,
    finds,
    signal: options.signal,
    onPiece: (bytes, data) => progress.advance(bytes, data),
  });
  progress.finish();
  return target;
}

async function check(job: CopyJob, { handle, place }: OpenTarget): Promise<void> {
  const { source, path, options, calls } = job;
  const tells = place.kind !== "device" && source.tellsHoles && calls.tellsHoles(handle.fd);
  const progress = meter(job, "checking", () => 0);
  await verifyCopy(source, handle.fd, {
    calls,
    path,
    extents: tells ? calls.dataExtents(handle.fd, source.size) : undefined,
    signal: options.signal,
    onPiece: (bytes, data) => progress.advance(bytes, data),
  });
  progress.finish();
}

function meter(job: CopyJob, phase: "copying" | "checking", copied: () => number): CopyMeter {
  const { source, dataBytes, path, options } = job;
  return new CopyMeter({ path, phase, total: source.size, dataBytes, emit: options.onProgress, copied });
}

/** Before the first byte, so that no disk is filled in vain. What only reading tells is read where it matters. */
async function assertSpace(
  job: CopyJob,
  place: Exclude<Place, { kind: "device" }>,
  finds: CopyDataOptions["finds"],
): Promise<void> {
  const { source, dataBytes, path, options, calls } = job;
  const directory = dirname(place.path);
  const free = await calls.freeSpace(directory);
  if (free === undefined) return;
  const isHoleless = finds === "all" || HOLELESS.has(await calls.fileSystem(directory));
  const room = free + (place.kind === "file" ? place.stats.blocks * 512 : 0);
  let needed = isHoleless ? source.size : dataBytes;
  if (withMargin(needed) > room && finds === "zeros" && !isHoleless) {
    const counting = new CountingTarget();
    await copyData(source, counting, { calls, finds, signal: options.signal });
    needed = counting.counts.written;
  }
  if (withMargin(needed) <= room) return;
  throw new VarveError(
    "NO_SPACE",
    `${path} needs ${formatBytes(needed)}, and its file system has ${formatBytes(room)} left`,
    { detail: { needed, free: room } },
  );
}

/** What a file system keeps of where the data is. */
function withMargin(bytes: number): number {
  return bytes + bytes / 1024;
}
