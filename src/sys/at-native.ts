/** The at-calls through the C library: 0.1 to 1 µs each on top of the system call, half of what `node:fs` takes. */
import { endianness } from "node:os";
import type { AtCalls, FileStatus, FileTime } from "./at.ts";
import { chmodOpen } from "./at-proc.ts";
import { bind, bindCall, cString, lastErrno } from "./libc.ts";
import { decodeName } from "./path-bytes.ts";

const O_CLOEXEC = 0o2000000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_REMOVEDIR = 0x200;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
/** Since Linux 6.6, one number on all architectures; glibc before 2.39 knows it not and takes four calls instead. */
const SYS_FCHMODAT2 = 452;
const EPERM = 1;
const ENOSYS = 38;
const ENAMETOOLONG = 36;
const PATH_MAX = 4096;
const LITTLE = endianness() === "LE";

/** @throws FFI_UNAVAILABLE when the C library lacks one of them */
export function nativeAtCalls(): AtCalls {
  const openat = bindCall("int openat(int, const char *, int, unsigned int)");
  const close = bind("int close(int)");
  const write = bindCall("int64_t write(int, const void *, size_t)");
  const pwrite = bindCall("int64_t pwrite(int, const void *, size_t, int64_t)");
  const ftruncate = bindCall("int ftruncate(int, int64_t)");
  const mkdirat = bindCall("int mkdirat(int, const char *, unsigned int)");
  const unlinkat = bindCall("int unlinkat(int, const char *, int)");
  const renameat = bindCall("int renameat(int, const char *, int, const char *)");
  const symlinkat = bindCall("int symlinkat(const char *, int, const char *)");
  const linkat = bindCall("int linkat(int, const char *, int, const char *, int)");
  const mknodat = bindCall("int mknodat(int, const char *, unsigned int, uint64_t)");
  const fchownat = bindCall("int fchownat(int, const char *, uint32_t, uint32_t, int)");
  const utimensat = bindCall("int utimensat(int, const char *, const void *, int)");
  const futimens = bindCall("int futimens(int, const void *)");
  const fchown = bindCall("int fchown(int, uint32_t, uint32_t)");
  const fchmod = bindCall("int fchmod(int, unsigned int)");
  return {
    exactTimes: true,
    native: true,
    open: (directory, name, flags, mode) => openat(directory, cString(name), flags | O_CLOEXEC, mode),
    // Never twice: even one that failed has given the number back, and another thread may have it by now.
    close: (file) => (close(file) < 0 ? -lastErrno() : 0),
    write: (file, bytes, position) =>
      position === undefined ? write(file, bytes, bytes.byteLength) : pwrite(file, bytes, bytes.byteLength, position),
    truncate: (file, size) => ftruncate(file, size),
    mkdir: (directory, name, mode) => mkdirat(directory, cString(name), mode),
    unlink: (directory, name) => unlinkat(directory, cString(name), 0),
    rmdir: (directory, name) => unlinkat(directory, cString(name), AT_REMOVEDIR),
    rename: (fromDirectory, from, toDirectory, to) => renameat(fromDirectory, cString(from), toDirectory, cString(to)),
    symlink: (target, directory, name) => symlinkat(cString(target), directory, cString(name)),
    link: (fromDirectory, from, toDirectory, to) => linkat(fromDirectory, cString(from), toDirectory, cString(to), 0),
    mknod: (directory, name, mode, major, minor) => mknodat(directory, cString(name), mode, makeDevice(major, minor)),
    stat: bindStat(),
    readlink: bindReadlink(),
    chown: (directory, name, uid, gid) => fchownat(directory, cString(name), uid, gid, AT_SYMLINK_NOFOLLOW),
    chmod: bindChmod(),
    setTimes: (directory, name, accessedAt, modifiedAt) =>
      utimensat(directory, cString(name), times(accessedAt, modifiedAt), AT_SYMLINK_NOFOLLOW),
    fileChown: (file, uid, gid) => fchown(file, uid, gid),
    fileChmod: (file, mode) => fchmod(file, mode),
    fileSetTimes: (file, accessedAt, modifiedAt) => futimens(file, times(accessedAt, modifiedAt)),
  };
}

/** glibc's encoding of a device number; Linux keeps 12 bits of the major and 20 of the minor number. */
function makeDevice(major: number, minor: number): bigint {
  const [high, low] = [BigInt(major), BigInt(minor)];
  return ((high & 0xfffff000n) << 32n) | ((high & 0xfffn) << 8n) | ((low & 0xffffff00n) << 12n) | (low & 0xffn);
}

const timespecs = new BigInt64Array(4);

function times(accessedAt: FileTime, modifiedAt: FileTime): BigInt64Array {
  timespecs[0] = BigInt(accessedAt.seconds);
  timespecs[1] = BigInt(accessedAt.nanoseconds);
  timespecs[2] = BigInt(modifiedAt.seconds);
  timespecs[3] = BigInt(modifiedAt.nanoseconds);
  return timespecs;
}

function bindStat(): AtCalls["stat"] {
  const statx = bindCall("int statx(int, const char *, int, unsigned int, void *)");
  const buffer = new DataView(new ArrayBuffer(256));
  const bytes = new Uint8Array(buffer.buffer);
  return (directory, name) => {
    const flags = name === "" ? AT_EMPTY_PATH : AT_SYMLINK_NOFOLLOW;
    const value = statx(directory, cString(name), flags, STATX_BASIC_STATS, bytes);
    return value < 0 ? value : readStatx(buffer);
  };
}

/** struct statx of statx(2): fixed offsets, the same on all architectures. */
function readStatx(from: DataView): FileStatus {
  const u32 = (at: number): number => from.getUint32(at, LITTLE);
  const time = (at: number): FileTime => ({ seconds: Number(from.getBigInt64(at, LITTLE)), nanoseconds: u32(at + 8) });
  return {
    links: u32(16),
    uid: u32(20),
    gid: u32(24),
    mode: from.getUint16(28, LITTLE),
    inode: from.getBigUint64(32, LITTLE),
    size: Number(from.getBigUint64(40, LITTLE)),
    blocks: Number(from.getBigUint64(48, LITTLE)),
    accessedAt: time(64),
    modifiedAt: time(112),
    deviceMajor: u32(128),
    deviceMinor: u32(132),
    device: makeDevice(u32(136), u32(140)),
  };
}

function bindReadlink(): AtCalls["readlink"] {
  const readlinkat = bindCall("int64_t readlinkat(int, const char *, void *, size_t)");
  const buffer = Buffer.alloc(PATH_MAX);
  return (directory, name) => {
    const length = readlinkat(directory, cString(name), buffer, PATH_MAX);
    if (length < 0) return length;
    return length === PATH_MAX ? -ENAMETOOLONG : decodeName(buffer.subarray(0, length));
  };
}

function bindChmod(): AtCalls["chmod"] {
  const syscall = bindCall("int64_t syscall(int64_t, int64_t, const char *, int64_t, int64_t)");
  const fchmodat = bindCall("int fchmodat(int, const char *, unsigned int, int)");
  let modern = true;
  return (directory, name, mode) => {
    if (name === "") return chmodOpen(directory, mode);
    if (modern) {
      const value = syscall(SYS_FCHMODAT2, directory, cString(name), mode, AT_SYMLINK_NOFOLLOW);
      // EPERM is also what seccomp profiles older than the call say.
      if (value !== -ENOSYS && value !== -EPERM) return value;
      modern = value === -EPERM;
    }
    return fchmodat(directory, cString(name), mode, AT_SYMLINK_NOFOLLOW);
  };
}
