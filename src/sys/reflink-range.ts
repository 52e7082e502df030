/** A range of one file shared with another (FICLONERANGE: btrfs, XFS, bcachefs), so that it is neither copied nor stored twice. */
import { errnoName, systemError } from "./errno.ts";
import { bind, ffiAvailable, lastErrno, type Foreign } from "./libc.ts";

/** `_IOW(0x94, 13, struct file_clone_range)`; some architectures count the directions otherwise (asm/ioctl.h). */
export const FICLONERANGE = ["ppc64", "mips", "mipsel"].includes(process.arch) ? 0x8020940d : 0x4020940d;
const UNSHARED: ReadonlySet<string> = new Set([
  "ENOTSUP",
  "EOPNOTSUPP",
  "ENOTTY",
  "EXDEV",
  "EINVAL",
  "ENOSYS",
  "EPERM",
  "ETXTBSY",
]);

/** What places and lengths have to be a multiple of; no common file system that shares has larger blocks. */
export const SHARED_BLOCK = 4096;

let ioctl: Foreign | undefined;

/**
 * Makes `length` bytes of the file `to` at `position` the same as those of the file `from` at `start`. All are multiples of
 * {@link SHARED_BLOCK}.
 * @returns false when their file system cannot, they are on two, or `from` is too short; nothing has changed then
 * @throws NodeJS.ErrnoException
 */
export function reflinkRange(from: number, start: number, to: number, position: number, length: number): boolean {
  if (process.platform !== "linux" || !ffiAvailable()) return false;
  ioctl ??= bind("int ioctl(int, unsigned long, void *)");
  if (ioctl(to, FICLONERANGE, BigInt64Array.of(BigInt(from), BigInt(start), BigInt(length), BigInt(position))) === 0)
    return true;
  const errno = lastErrno();
  if (UNSHARED.has(errnoName(errno))) return false;
  throw systemError(errno, "ioctl (FICLONERANGE)");
}
