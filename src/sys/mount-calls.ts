/**
 * The system calls of mounting: mount(2), umount2(2), and the interface of file descriptors that Linux has had since 5.2 (fsopen(2),
 * fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2)), which glibc knows from 2.36 on only and is called by number.
 * Results are 0 or more, or a negated errno.
 */
import { bind, bindAsync, cString, ffiAvailable, lastErrno } from "./libc.ts";

/** One number on every architecture that Node runs on. */
const SYS = { openTree: 428, moveMount: 429, fsopen: 430, fsconfig: 431, fsmount: 432, mountSetattr: 442 };

const AT_FDCWD = -100;
const AT_EMPTY_PATH = 0x1000;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_NO_AUTOMOUNT = 0x800;
const O_CLOEXEC = 0o2000000;
const FSOPEN_CLOEXEC = 1;
const FSMOUNT_CLOEXEC = 1;
const OPEN_TREE_CLONE = 1;
const AT_RECURSIVE = 0x8000;
const FROM_AND_TO_EMPTY_PATH = 0x04 | 0x40;

/** Commands of fsconfig(2). */
const SET_FLAG = 0;
const SET_STRING = 1;
const CREATE = 6;

/** What fsconfig(2) takes as a value, without its NUL. */
export const MAX_PARAMETER_BYTES = 255;
/** What mount(2) takes as options, a page without its NUL. */
export const MAX_DATA_BYTES = 4095;

export interface MountCalls {
  mount(source: string, target: string, type: string, flags: number, data: string): number;
  umount(target: string, flags: number): number;
  /** As `umount`, on a thread of the pool, for it may write out a file system. The errno is lost: -1 is all it says. */
  umountAsync(target: string, flags: number): Promise<number>;
  /** @returns a file system that is being configured */
  fsopen(type: string): number;
  setFlag(context: number, key: string): number;
  setString(context: number, key: string, value: string): number;
  create(context: number): number;
  /** @returns a mount that is nowhere yet */
  fsmount(context: number, attributes: number): number;
  /** @returns a mount like the one that shows `path`, nowhere yet */
  cloneTree(path: string, recursive: boolean): number;
  setAttributes(mount: number, attributes: bigint): number;
  /** Puts a mount that is nowhere yet over an open directory or file. */
  attach(mount: number, target: number): number;
  /** The status into 256 bytes. */
  statx(path: string, into: Uint8Array): number;
}

let calls: MountCalls | undefined;

/** @throws FFI_UNAVAILABLE where foreign calls are not available */
export function mountCalls(): MountCalls {
  return ffiAvailable() ? (calls ??= bindMount()) : bindMount();
}

function bindMount(): MountCalls {
  const mount = bind("int mount(const char *, const char *, const char *, unsigned long, const char *)");
  const umount = bind("int umount2(const char *, int)");
  const umountAsync = bindAsync("int umount2(const char *, int)");
  const statx = bind("int statx(int, const char *, int, unsigned int, void *)");
  const numbers = bind("int64_t syscall(int64_t, int64_t, int64_t, int64_t)");
  const fsopen = bind("int64_t syscall(int64_t, const char *, int64_t)");
  const fsconfig = bind("int64_t syscall(int64_t, int64_t, int64_t, const char *, const char *, int64_t)");
  const openTree = bind("int64_t syscall(int64_t, int64_t, const char *, int64_t)");
  const moveMount = bind("int64_t syscall(int64_t, int64_t, const char *, int64_t, const char *, int64_t)");
  const setattr = bind("int64_t syscall(int64_t, int64_t, const char *, int64_t, const void *, int64_t)");
  return {
    mount: (source, target, type, flags, data) =>
      result(mount(cString(source), cString(target), type, flags, cString(data))),
    umount: (target, flags) => result(umount(cString(target), flags)),
    umountAsync: (target, flags) => umountAsync(cString(target), flags),
    fsopen: (type) => result(fsopen(SYS.fsopen, type, FSOPEN_CLOEXEC)),
    setFlag: (context, key) => result(fsconfig(SYS.fsconfig, context, SET_FLAG, key, null, 0)),
    setString: (context, key, value) => result(fsconfig(SYS.fsconfig, context, SET_STRING, key, cString(value), 0)),
    create: (context) => result(fsconfig(SYS.fsconfig, context, CREATE, null, null, 0)),
    fsmount: (context, attributes) => result(numbers(SYS.fsmount, context, FSMOUNT_CLOEXEC, attributes)),
    cloneTree: (path, recursive) => {
      const flags = OPEN_TREE_CLONE | O_CLOEXEC | (recursive ? AT_RECURSIVE : 0);
      return result(openTree(SYS.openTree, AT_FDCWD, cString(path), flags));
    },
    setAttributes: (fd, attributes) => {
      // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
      const wanted = BigUint64Array.of(attributes, 0n, 0n, 0n);
      return result(setattr(SYS.mountSetattr, fd, "", AT_EMPTY_PATH, wanted, wanted.byteLength));
    },
    attach: (fd, target) => result(moveMount(SYS.moveMount, fd, "", target, "", FROM_AND_TO_EMPTY_PATH)),
    statx: (path, into) => result(statx(AT_FDCWD, cString(path), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0, into)),
  };
}

function result(value: number): number {
  return value < 0 ? -lastErrno() : value;
}
