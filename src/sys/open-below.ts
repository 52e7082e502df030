/**
 * Opening what lies in a directory and not in something mounted there: openat2(2) with `RESOLVE_NO_XDEV`, which sees bind mounts of the same
 * file system too. Where the call is not to be had (Linux before 5.6, old seccomp profiles, no foreign calls) it is a plain openat.
 */
import type { AtCalls } from "./at.ts";
import { AT_FDCWD } from "./at.ts";
import { errnoName } from "./errno.ts";
import { bind, cString, ffiAvailable, lastErrno, type Foreign } from "./libc.ts";

/** One number on all architectures. */
const SYS_OPENAT2 = 437;
const O_CLOEXEC = 0o2000000n;
const RESOLVE_NO_XDEV = 0x01n;
const HOW_BYTES = 24;

let openat2: Foreign | undefined;
let absent = false;
const how = new BigUint64Array(3);

/** @param flags of openat(2) @returns the descriptor, or a negated errno: `EXDEV` when the name is a mount point */
export function openBelow(at: AtCalls, directory: number, name: string, flags: number): number {
  // The path that a work starts at may lead over any mount.
  if (directory === AT_FDCWD || absent || !ffiAvailable()) return at.open(directory, name, flags, 0);
  openat2 ??= bind("int64_t syscall(int64_t, int64_t, const char *, const void *, size_t)");
  how[0] = BigInt(flags) | O_CLOEXEC;
  how[2] = RESOLVE_NO_XDEV;
  const fd = openat2(SYS_OPENAT2, directory, cString(name), how, HOW_BYTES);
  if (fd >= 0) return fd;
  const errno = lastErrno();
  const code = errnoName(errno);
  if (code !== "ENOSYS" && code !== "EPERM") return -errno;
  absent = code === "ENOSYS";
  return at.open(directory, name, flags, 0);
}
