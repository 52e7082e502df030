/**
 * Space of files given and taken back off this thread: fallocate(2), the ioctls of block devices, FICLONE. On large files each of them may
 * take seconds, and other work goes on meanwhile. Where they cannot be made, the answers say so and the caller writes.
 */
import { errnoName, systemError } from "./errno.ts";
import { bindAsync, bindCall, ffiAvailable } from "./libc.ts";
import { FICLONERANGE } from "./reflink-range.ts";
import { FICLONE, UNSHARED } from "./reflink.ts";

const FALLOC_KEEP_SIZE_PUNCH_HOLE = 0x03;
/** `_IO(0x12, 127)`; some architectures count the directions otherwise (asm/ioctl.h). */
const BLKZEROOUT = ["ppc64", "mips", "mipsel"].includes(process.arch) ? 0x2000127f : 0x127f;
const POSIX_FADV_DONTNEED = 4;
const UNSUPPORTED: ReadonlySet<string> = new Set(["ENOTSUP", "EOPNOTSUPP", "ENOSYS", "ENOTTY", "ENODEV"]);

type Pooled = (...args: unknown[]) => Promise<number>;

const bound = new Map<string, Pooled>();

/**
 * On a thread of the pool, where no errno can be read; so what failed there is made once more here, for its errno. What comes back is 0 or
 * more, or a negated errno.
 */
function pooled(prototype: string): Pooled {
  const known = bound.get(prototype);
  if (known !== undefined) return known;
  const [there, here] = [bindAsync(prototype), bindCall(prototype)];
  const call: Pooled = async (...args) => {
    const value = await there(...args);
    return value >= 0 ? value : here(...args);
  };
  bound.set(prototype, call);
  return call;
}

function unavailable(): boolean {
  return process.platform !== "linux" || !ffiAvailable();
}

/** True when it was done, false when it cannot be. @throws NodeJS.ErrnoException */
function done(result: number, unsupported: ReadonlySet<string>, call: string): boolean {
  if (result >= 0) return true;
  if (unsupported.has(errnoName(-result))) return false;
  throw systemError(-result, call);
}

/**
 * Gives a range back to the file system, or to a block device; it reads as zeros afterwards and the size stays. Of a device, whole blocks.
 * @returns false when that cannot be; nothing has changed then
 * @throws NodeJS.ErrnoException
 */
export async function freeRange(file: number, offset: number, length: number): Promise<boolean> {
  if (length === 0) return true;
  if (unavailable()) return false;
  const fallocate = pooled("int fallocate(int, int, int64_t, int64_t)");
  return done(await fallocate(file, FALLOC_KEEP_SIZE_PUNCH_HOLE, offset, length), UNSUPPORTED, "fallocate");
}

/**
 * Gives a range of a file its space, so that writing it cannot fail for want of any.
 * @returns false when the file system cannot say; nothing has changed then
 * @throws NodeJS.ErrnoException `ENOSPC`
 */
export async function allocateRange(file: number, offset: number, length: number): Promise<boolean> {
  if (length === 0) return true;
  if (unavailable()) return false;
  return done(
    await pooled("int fallocate(int, int, int64_t, int64_t)")(file, 0, offset, length),
    UNSUPPORTED,
    "fallocate",
  );
}

/**
 * Makes whole blocks of a block device zeros, by its own command or by the kernel's writing.
 * @returns false when it cannot be
 */
export async function zeroDeviceRange(device: number, offset: number, length: number): Promise<boolean> {
  if (length === 0) return true;
  if (unavailable()) return false;
  const ioctl = pooled("int ioctl(int, unsigned long, const void *)");
  const range = BigUint64Array.of(BigInt(offset), BigInt(length));
  return (await ioctl(device, BLKZEROOUT, range)) >= 0;
}

/**
 * As `reflink`, for files of any size.
 * @returns false when their file system cannot, or they are on two; nothing has changed then
 * @throws NodeJS.ErrnoException
 */
export async function reflinkWhole(from: number, to: number): Promise<boolean> {
  if (unavailable()) return false;
  return done(await pooled("int ioctl(int, unsigned long, int)")(to, FICLONE, from), UNSHARED, "ioctl (FICLONE)");
}

/**
 * As `reflinkRange`, for ranges of any size and files in many pieces. All are multiples of its `SHARED_BLOCK`.
 * @returns false when their file system cannot, they are on two, or `from` is too short; nothing has changed then
 * @throws NodeJS.ErrnoException
 */
export async function shareRange(
  from: number,
  start: number,
  to: number,
  position: number,
  length: number,
): Promise<boolean> {
  if (unavailable()) return false;
  const range = BigInt64Array.of(BigInt(from), BigInt(start), BigInt(length), BigInt(position));
  const ioctl = pooled("int ioctl(int, unsigned long, const void *)");
  return done(await ioctl(to, FICLONERANGE, range), UNSHARED, "ioctl (FICLONERANGE)");
}

/** Lets go of what is cached of a file and written out, so that it is read from where it lies. Does nothing where that cannot be. */
export async function dropCached(file: number): Promise<void> {
  if (unavailable()) return;
  await bindAsync("int posix_fadvise(int, int64_t, int64_t, int)")(file, 0, 0, POSIX_FADV_DONTNEED);
}
