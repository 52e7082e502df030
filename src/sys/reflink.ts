/**
 * The content of one file into another that is empty: shared where the file system can (FICLONE: btrfs, XFS, bcachefs), otherwise copied
 * within the kernel, run of data by run of data, so that holes stay holes.
 */
import { readSync, writeSync } from "node:fs";
import { constants as system } from "node:os";
import { atCalls } from "./at.ts";
import { errnoName, must, systemError } from "./errno.ts";
import { bind, ffiAvailable, lastErrno, type Foreign } from "./libc.ts";
import { dataExtents } from "./sparse.ts";

/** `_IOW(0x94, 9, int)`; some architectures count the directions otherwise (asm/ioctl.h). */
export const FICLONE = ["ppc64", "mips", "mipsel"].includes(process.arch) ? 0x80049409 : 0x40049409;
/** Copied at once: some milliseconds. */
const PIECE = 32 << 20;
const BUFFER = 1 << 20;
/** Of sharing: another way may do. Whatever else fails, fails that way too or would hide what is wrong with the disk. */
export const UNSHARED: ReadonlySet<string> = new Set([
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOTTY",
  "EXDEV",
  "EINVAL",
  "ENOSYS",
  "EPERM",
  "EACCES",
  "EBADF",
  "ETXTBSY",
]);
const UNCOPIED: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "EXDEV", "EINVAL", "ENOSYS", "EPERM", "EBADF"]);

let ioctl: Foreign | undefined;
let copyRange: Foreign | undefined;

/**
 * Makes the file `to` share the content of the file `from`.
 * @returns false when their file system cannot, or they are on two; nothing has changed then
 * @throws NodeJS.ErrnoException
 */
export function reflink(from: number, to: number): boolean {
  if (process.platform !== "linux" || !ffiAvailable()) return false;
  ioctl ??= bind("int ioctl(int, unsigned long, int)");
  if (ioctl(to, FICLONE, from) === 0) return true;
  const errno = lastErrno();
  if (UNSHARED.has(errnoName(errno))) return false;
  throw systemError(errno, "ioctl (FICLONE)");
}

/**
 * Copies `size` bytes. It yields the bytes copied after each piece of at most 32 MiB, so that others get their turn. Moves the offset of
 * `from`, so give a descriptor that nobody else reads by.
 * @throws NodeJS.ErrnoException; `EIO` when the file has become shorter
 */
export function* copyContent(from: number, to: number, size: number): Generator<number, void> {
  for (const { offset, length } of dataExtents(from, size)) {
    for (let done = 0; done < length;) {
      const copied = copyPiece(from, to, offset + done, Math.min(PIECE, length - done));
      done += copied;
      yield copied;
    }
  }
  // What ends in a hole has its size from here.
  must(atCalls().truncate(to, size), "ftruncate");
}

function copyPiece(from: number, to: number, offset: number, length: number): number {
  if (process.platform === "linux" && ffiAvailable()) {
    copyRange ??= bind("int64_t copy_file_range(int, void *, int, void *, size_t, unsigned int)");
    const [at, place] = [BigInt64Array.of(BigInt(offset)), BigInt64Array.of(BigInt(offset))];
    const copied = copyRange(from, at, to, place, length, 0);
    if (copied > 0) return copied;
    const errno = copied < 0 ? lastErrno() : 0;
    if (copied < 0 && !UNCOPIED.has(errnoName(errno))) throw systemError(errno, "copy_file_range");
    // Some file systems copy nothing and call it done; reading shows what it is.
  }
  return copyThroughMemory(from, to, offset, length);
}

function copyThroughMemory(from: number, to: number, offset: number, length: number): number {
  const buffer = Buffer.allocUnsafe(Math.min(BUFFER, length));
  for (let done = 0; done < length;) {
    const got = readSync(from, buffer, 0, Math.min(buffer.length, length - done), offset + done);
    // It became shorter meanwhile.
    if (got === 0) throw systemError(system.errno.EIO, "read");
    for (let put = 0; put < got;) put += writeSync(to, buffer, put, got - put, offset + done + put);
    done += got;
  }
  return length;
}
