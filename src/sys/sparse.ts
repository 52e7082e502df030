/**
 * Holes in files: finding them with SEEK_DATA and SEEK_HOLE, making them with fallocate. Both are hints that a file system may
 * not give; the answers say so and the caller then reads everything, or writes zeros.
 */
import { errnoName, systemError } from "./errno.ts";
import { bind, ffiAvailable, lastErrno, type Foreign } from "./libc.ts";

const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const FALLOC_KEEP_SIZE_PUNCH_HOLE = 0x03;
const UNSUPPORTED: ReadonlySet<string> = new Set(["EINVAL", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOTTY"]);

export interface Extent {
  readonly offset: number;
  readonly length: number;
}

let seek: Foreign | undefined;
let allocate: Foreign | undefined;

/**
 * The runs of data below `size`, ascending; what lies between them reads as zeros. One run of everything where holes cannot be
 * asked for. Moves the offset of the open file, so give a descriptor that nobody else reads by. The file should be synced
 * first where the file system is not trusted (see the rules for ZFS, btrfs and NFS).
 * @throws NodeJS.ErrnoException for errors of reading
 */
export function* dataExtents(file: number, size: number): Generator<Extent> {
  if (size === 0) return;
  if (process.platform !== "linux" || !ffiAvailable()) {
    yield { offset: 0, length: size };
    return;
  }
  seek ??= bind("int64_t lseek(int, int64_t, int)");
  for (let at = 0; at < size;) {
    const start = seekTo(seek, file, at, SEEK_DATA);
    if (start === "unsupported") {
      yield { offset: at, length: size - at };
      return;
    }
    if (start === "none" || start >= size) return;
    const hole = seekTo(seek, file, start, SEEK_HOLE);
    // A file that shrinks meanwhile has no hole to find; the loop is bounded by the size taken at its start.
    const end = typeof hole === "number" && hole > start ? Math.min(hole, size) : size;
    yield { offset: start, length: end - start };
    at = end;
  }
}

/** Whether the file system answers questions for holes of this file; that it never tells of any is an answer too. @throws NodeJS.ErrnoException */
export function tellsHoles(file: number): boolean {
  if (process.platform !== "linux" || !ffiAvailable()) return false;
  seek ??= bind("int64_t lseek(int, int64_t, int)");
  return seekTo(seek, file, 0, SEEK_HOLE) !== "unsupported";
}

function seekTo(lseek: Foreign, file: number, at: number, whence: number): number | "none" | "unsupported" {
  const found = lseek(file, at, whence);
  if (found >= 0) return found;
  const errno = lastErrno();
  const name = errnoName(errno);
  if (name === "ENXIO") return "none";
  if (UNSUPPORTED.has(name)) return "unsupported";
  throw systemError(errno, "lseek");
}

/**
 * Gives a range back to the file system; it reads as zeros afterwards and the size stays. Whole blocks are freed, parts of
 * blocks are zeroed.
 * @returns false when the file system cannot; nothing has changed then
 * @throws NodeJS.ErrnoException
 */
export function punchHole(file: number, offset: number, length: number): boolean {
  if (length === 0) return true;
  if (process.platform !== "linux" || !ffiAvailable()) return false;
  allocate ??= bind("int fallocate(int, int, int64_t, int64_t)");
  for (;;) {
    if (allocate(file, FALLOC_KEEP_SIZE_PUNCH_HOLE, offset, length) === 0) return true;
    const errno = lastErrno();
    const name = errnoName(errno);
    if (name === "EINTR") continue;
    if (name !== "EINVAL" && UNSUPPORTED.has(name)) return false;
    throw systemError(errno, "fallocate");
  }
}
