/**
 * The at-calls in plain Node, for machines that koffi has no build for: the kernel resolves `/proc/self/fd/<n>/<name>` from
 * the open directory itself, whatever its old path names by now. Out of reach: devices, fifos (`-ENOSYS`), extended
 * attributes, and times finer than a microsecond.
 */
import {
  chmodSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeSync,
  type BigIntStats,
} from "node:fs";
import { constants as os } from "node:os";
import type { AtCalls, FileStatus, FileTime } from "./at.ts";
import { negatedErrno } from "./errno.ts";
import { decodeName, systemName } from "./path-bytes.ts";

const O_PATH = 0o10000000;
const AT_FDCWD = -100;
const BILLION = 1_000_000_000n;

export const procAtCalls: AtCalls = {
  exactTimes: false,
  native: false,
  open: (directory, name, flags, mode) => attempt(() => openSync(place(directory, name), flags, mode)),
  close: (file) => done(() => closeSync(file)),
  write: (file, bytes, position) => attempt(() => writeSync(file, bytes, 0, bytes.byteLength, position ?? null)),
  truncate: (file, size) => done(() => ftruncateSync(file, size)),
  mkdir: (directory, name, mode) => done(() => mkdirSync(place(directory, name), mode)),
  unlink: (directory, name) => done(() => unlinkSync(place(directory, name))),
  rmdir: (directory, name) => done(() => rmdirSync(place(directory, name))),
  rename: (fromDirectory, from, toDirectory, to) =>
    done(() => renameSync(place(fromDirectory, from), place(toDirectory, to))),
  symlink: (target, directory, name) => done(() => symlinkSync(systemName(target), place(directory, name))),
  link: (fromDirectory, from, toDirectory, to) =>
    done(() => linkSync(place(fromDirectory, from), place(toDirectory, to))),
  mknod: () => -os.errno.ENOSYS,
  stat: (directory, name) =>
    attempt(() =>
      status(
        name === "" ? fstatSync(directory, { bigint: true }) : lstatSync(place(directory, name), { bigint: true }),
      ),
    ),
  readlink: (directory, name) => attempt(() => decodeName(readlinkSync(place(directory, name), "buffer"))),
  chown: (directory, name, uid, gid) => done(() => lchownSync(place(directory, name), uid, gid)),
  chmod: (directory, name, mode) =>
    name === "" ? chmodOpen(directory, mode) : attempt(() => chmodNoFollow(place(directory, name), mode)),
  setTimes: (directory, name, accessedAt, modifiedAt) =>
    done(() => lutimesSync(place(directory, name), float(accessedAt), float(modifiedAt))),
  fileChown: (file, uid, gid) => done(() => fchownSync(file, uid, gid)),
  fileChmod: (file, mode) => done(() => fchmodSync(file, mode)),
  fileSetTimes: (file, accessedAt, modifiedAt) => done(() => futimesSync(file, float(accessedAt), float(modifiedAt))),
};

function place(directory: number, name: string): string | Buffer {
  const system = systemName(name);
  if (directory === AT_FDCWD) return system;
  const prefix = `/proc/self/fd/${directory}/`;
  return typeof system === "string" ? prefix + system : Buffer.concat([Buffer.from(prefix), system]);
}

function attempt<T>(call: () => T): T | number {
  try {
    return call();
  } catch (error) {
    return negatedErrno(error);
  }
}

function done(call: () => void): number {
  return attempt(() => {
    call();
    return 0;
  });
}

/** As text, because Node takes a negative number for "now". */
function float(time: FileTime): string {
  return String(time.seconds + time.nanoseconds / 1e9);
}

function fileTime(nanoseconds: bigint): FileTime {
  const rest = ((nanoseconds % BILLION) + BILLION) % BILLION;
  return { seconds: Number((nanoseconds - rest) / BILLION), nanoseconds: Number(rest) };
}

function status(from: BigIntStats): FileStatus {
  return {
    mode: Number(from.mode),
    uid: Number(from.uid),
    gid: Number(from.gid),
    links: Number(from.nlink),
    device: from.dev,
    inode: from.ino,
    size: Number(from.size),
    blocks: Number(from.blocks),
    deviceMajor: Number(((from.rdev >> 8n) & 0xfffn) | ((from.rdev >> 32n) & 0xfffff000n)),
    deviceMinor: Number((from.rdev & 0xffn) | ((from.rdev >> 12n) & 0xffffff00n)),
    accessedAt: fileTime(from.atimeNs),
    modifiedAt: fileTime(from.mtimeNs),
  };
}

/** fchmod refuses what was opened with `O_PATH`; the name that /proc has for it does not. */
export function chmodOpen(file: number, mode: number): number {
  return done(() => chmodSync(`/proc/self/fd/${file}`, mode));
}

/** chmod follows links, so the name is pinned first and found to be no link. */
function chmodNoFollow(path: string | Buffer, mode: number): number {
  const pinned = openSync(path, O_PATH | constants.O_NOFOLLOW);
  try {
    if (fstatSync(pinned).isSymbolicLink()) return -os.errno.EOPNOTSUPP;
    chmodSync(`/proc/self/fd/${pinned}`, mode);
    return 0;
  } finally {
    closeSync(pinned);
  }
}
