/**
 * What copying asks of the system, in one place, so that tests can let each of it fail. Positions and lengths are bytes; files are
 * descriptors. Reads and writes may do less than they were asked for.
 */
import { fsync, read, write, writeSync } from "node:fs";
import { statfs } from "node:fs/promises";
import { freeSpace } from "../sys/free-space.ts";
import { allocateRange, dropCached, freeRange, reflinkWhole, zeroDeviceRange } from "../sys/space-calls.ts";
import { dataExtents, tellsHoles, type Extent } from "../sys/sparse.ts";

export interface CopyCalls {
  read(file: number, into: Uint8Array, at: number, length: number, position: number): Promise<number>;
  write(file: number, from: Uint8Array, at: number, length: number, position: number): Promise<number>;
  /** As `write`, before it returns: for a few bytes that is sooner done than handed to another thread. */
  writeNow(file: number, from: Uint8Array, at: number, length: number, position: number): number;
  /** Everything of it on the disk. */
  sync(file: number): Promise<void>;
  /** False where it cannot be, and nothing has changed. The same holds for `free`, `allocate` and `zeroDevice`. */
  reflink(from: number, to: number): Promise<boolean>;
  tellsHoles(file: number): boolean;
  /** Moves the file's own offset. */
  dataExtents(file: number, size: number): Iterable<Extent>;
  free(file: number, position: number, length: number): Promise<boolean>;
  allocate(file: number, position: number, length: number): Promise<boolean>;
  zeroDevice(file: number, position: number, length: number): Promise<boolean>;
  dropCached(file: number): Promise<void>;
  /** statfs(2)'s number for the kind of file system. */
  fileSystem(path: string): Promise<number>;
  /** Undefined where nobody knows. */
  freeSpace(path: string): Promise<number | undefined>;
}

export const COPY_CALLS: CopyCalls = {
  read: (file, into, at, length, position) =>
    settle<number>((done) => read(file, into, at, length, position, (error, count) => done(error, count))),
  write: (file, from, at, length, position) =>
    settle<number>((done) => write(file, from, at, length, position, (error, count) => done(error, count))),
  writeNow: writeSync,
  sync: (file) => settle<void>((done) => fsync(file, (error) => done(error, undefined))),
  reflink: reflinkWhole,
  tellsHoles,
  dataExtents,
  free: freeRange,
  allocate: allocateRange,
  zeroDevice: zeroDeviceRange,
  dropCached,
  fileSystem: async (path) => (await statfs(path)).type,
  freeSpace,
};

/** Bytes up to which a write is made on this thread; it ends in memory, as all writes do until the system's own limit is reached. */
const SMALL = 16 << 10;

/** Callbacks, because a `FileHandle` costs more for each of hundreds of thousands of small writes. */
function settle<T>(start: (done: (error: Error | null, value: T) => void) => void): Promise<T> {
  return new Promise((resolve, reject) => start((error, value) => (error === null ? resolve(value) : reject(error))));
}

/**
 * Reads all of it.
 * @returns the bytes read: less only where the file ends before
 */
export async function readFully(
  calls: CopyCalls,
  file: number,
  into: Uint8Array,
  length: number,
  position: number,
): Promise<number> {
  let done = 0;
  while (done < length) {
    const count = await unlessInterrupted(() => calls.read(file, into, done, length - done, position + done));
    if (count === 0) break;
    done += count ?? 0;
  }
  return done;
}

/** Writes `from[start, end)`. @throws NodeJS.ErrnoException */
export async function writeFully(
  calls: CopyCalls,
  file: number,
  from: Uint8Array,
  [start, end]: readonly [number, number],
  position: number,
): Promise<void> {
  const isSmall = end - start <= SMALL;
  for (let at = start; at < end;) {
    const rest = [file, from, at, end - at, position + at - start] as const;
    at += (await unlessInterrupted(() => (isSmall ? calls.writeNow(...rest) : calls.write(...rest)))) ?? 0;
  }
}

/** Undefined when a signal came in between and nothing was done. */
async function unlessInterrupted(call: () => number | Promise<number>): Promise<number | undefined> {
  try {
    return await call();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EINTR") return undefined;
    throw error;
  }
}
