/**
 * Mounts. A mount is first made as an open file that is nowhere in the tree, can be used through `/proc/self/fd/<n>`, and is gone when
 * it is closed or the process dies; `attach` then shows it at a directory. Kernels before 5.2 have mount(2) only (`mountClassic`).
 */
import { closeSync, openSync, readSync } from "node:fs";
import { constants as system, endianness } from "node:os";
import { OPEN_DIRECTORY } from "./at.ts";
import { errnoName, must, systemError } from "./errno.ts";
import { mountCalls } from "./mount-calls.ts";
import { readMountInfo } from "./mount-info.ts";
import { systemName } from "./path-bytes.ts";

/** Flags of mount(2); the attributes of fsmount(2) have the same values for these. */
export const MS_RDONLY = 1;
export const MS_NOSUID = 2;
export const MS_NODEV = 4;
export const MS_NOEXEC = 8;
export const MS_REMOUNT = 32;
export const MS_BIND = 4096;
export const MS_REC = 16384;

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;
const STATX_ATTR_MOUNT_ROOT = 0x2000n;
const LITTLE = endianness() === "LE";

/** An option of a file system: `ro`, or a key with a value of at most 255 bytes. */
export interface MountParameter {
  readonly key: string;
  readonly value?: string;
}

/** A mount that is nowhere in the tree. Disposing of it closes it, which ends it unless it was attached. */
export class OpenMount implements Disposable {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** Its root directory, for this process alone. */
  get path(): string {
    return `/proc/self/fd/${this.fd}`;
  }

  /**
   * Shows it at a directory, over whatever is mounted there.
   * @throws NodeJS.ErrnoException; a symbolic link is ENOTDIR
   */
  attach(target: string): void {
    if (!this.#open) throw systemError(system.errno.EBADF, "move_mount", target);
    const directory = openSync(systemName(target), OPEN_DIRECTORY);
    try {
      must(mountCalls().attach(this.fd, directory), "move_mount", target);
    } finally {
      closeSync(directory);
    }
  }

  /** While it is open an attached mount is busy. */
  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#open = false;
    closeSync(this.fd);
  }
}

/**
 * A file system, mounted nowhere yet. The error's message has what the file system itself had to say.
 * @param flags `MS_RDONLY`, `MS_NOSUID`, `MS_NODEV`, `MS_NOEXEC` of the mount; that the file system is read-only is its parameter `ro`
 * @throws NodeJS.ErrnoException, ENOSYS on a kernel without this interface; FFI_UNAVAILABLE
 */
export function openFileSystem(type: string, parameters: readonly MountParameter[], flags = 0): OpenMount {
  const calls = mountCalls();
  const context = must(calls.fsopen(type), "fsopen", type);
  const check = (result: number, syscall: string, what: string): number => {
    if (result >= 0) return result;
    throw withWords(systemError(-result, syscall, what), wordsOf(context));
  };
  try {
    for (const { key, value } of parameters) {
      const result = value === undefined ? calls.setFlag(context, key) : calls.setString(context, key, value);
      check(result, "fsconfig", value === undefined ? key : `${key}=${value}`);
    }
    check(calls.create(context), "fsconfig", type);
    return new OpenMount(check(calls.fsmount(context, flags), "fsmount", type));
  } finally {
    closeSync(context);
  }
}

/**
 * What is mounted at a path, or a directory below it, to be shown at a second place: a bind mount.
 * @param options.flags `MS_RDONLY`, `MS_NOSUID`, `MS_NODEV`, `MS_NOEXEC` beside those that it has there. Default 0
 * @param options.recursive also what is mounted below. Default false
 * @throws NodeJS.ErrnoException, ENOSYS on a kernel without this interface; FFI_UNAVAILABLE
 */
export function openBind(
  source: string,
  options: { readonly flags?: number; readonly recursive?: boolean } = {},
): OpenMount {
  const calls = mountCalls();
  const { flags = 0, recursive = false } = options;
  const mount = new OpenMount(must(calls.cloneTree(source, recursive), "open_tree", source));
  try {
    if (flags !== 0) must(calls.setAttributes(mount.fd, BigInt(flags)), "mount_setattr", source);
    return mount;
  } catch (error) {
    mount[Symbol.dispose]();
    throw error;
  }
}

export interface ClassicMount {
  readonly source: string;
  readonly type: string;
  /** `MS_...` */
  readonly flags?: number;
  /** Options with commas between them, at most 4095 bytes. */
  readonly data?: string;
}

/**
 * mount(2). Follows a symbolic link at the target.
 * @throws NodeJS.ErrnoException; FFI_UNAVAILABLE
 */
export function mountClassic(mount: ClassicMount, target: string): void {
  const { source, type, flags = 0, data = "" } = mount;
  must(mountCalls().mount(source, target, type, flags, data), "mount", target);
}

/**
 * Ends the topmost mount at a directory. Never follows a symbolic link there.
 * @param options.lazy takes it out of the tree at once and ends it when nobody uses it any more. Default false: EBUSY while it is in use
 * @throws NodeJS.ErrnoException, EINVAL when nothing is mounted there; FFI_UNAVAILABLE
 */
export async function unmount(target: string, options: { readonly lazy?: boolean } = {}): Promise<void> {
  const calls = mountCalls();
  const flags = UMOUNT_NOFOLLOW | (options.lazy === true ? MNT_DETACH : 0);
  // A failure changes nothing, so that asking again tells why.
  if ((await calls.umountAsync(target, flags)) < 0) must(calls.umount(target, flags), "umount2", target);
}

/** Whether something is mounted at just this path; false when there is no such path. @throws NodeJS.ErrnoException; FFI_UNAVAILABLE */
export function isMountPoint(path: string): boolean {
  const bytes = new Uint8Array(256);
  const result = mountCalls().statx(path, bytes);
  if (result < 0 && ["ENOENT", "ENOTDIR"].includes(errnoName(-result))) return false;
  must(result, "statx", path);
  const status = new DataView(bytes.buffer);
  const [attributes, known] = [status.getBigUint64(8, LITTLE), status.getBigUint64(56, LITTLE)];
  // Kernels before 5.8 do not say.
  if ((known & STATX_ATTR_MOUNT_ROOT) === 0n) return readMountInfo().some(({ target }) => target === path);
  return (attributes & STATX_ATTR_MOUNT_ROOT) !== 0n;
}

/** The log of a file system that is being configured: one message for each read, the first letter says how grave it is. */
function wordsOf(context: number): string[] {
  const words: string[] = [];
  const buffer = Buffer.alloc(8192);
  try {
    for (;;) {
      const message = buffer.toString("utf8", 0, readSync(context, buffer)).trim();
      words.push(message.replace(/^[ewi] /, ""));
    }
  } catch {
    return words;
  }
}

function withWords(error: NodeJS.ErrnoException, words: readonly string[]): NodeJS.ErrnoException {
  if (words.length > 0) error.message += `: ${words.join("; ")}`;
  return error;
}
