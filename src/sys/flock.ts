/**
 * Locks between processes that cannot be left behind: flock(2) on a file, which the kernel frees when the holder closes it or
 * dies, however it dies. Two opens conflict also inside one process.
 *
 * The lock belongs to the inode and a path may be unlinked and made anew, so a lock is only believed when the path still names
 * the inode that was locked; that makes it safe for a holder to remove the file. Waiting is polling with back-off: a
 * blocking flock would hold a thread of the pool and could not be interrupted.
 */
import { spawnSync } from "node:child_process";
import { closeSync, constants, fstatSync, openSync, statSync, unlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { VarveError } from "../errors/varve-error.ts";
import { errnoName, systemError } from "./errno.ts";
import { bind, ffiAvailable, lastErrno, type Foreign } from "./libc.ts";

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;
const FIRST_POLL_MS = 4;
const LAST_POLL_MS = 200;

export interface FileLock extends Disposable {
  readonly path: string;
  readonly shared: boolean;
  /**
   * Frees the lock; doing it again does nothing. `remove` unlinks the file first, which only an exclusive holder may do:
   * under a shared lock the other holders would keep a file that the next process can no longer see.
   */
  unlock(options?: { readonly remove?: boolean }): void;
}

export interface LockOptions {
  /** Many shared holders or one exclusive one. Default false. */
  readonly shared?: boolean;
}

export interface WaitOptions extends LockOptions {
  readonly signal?: AbortSignal;
  /** Called once, when the lock is found taken. */
  readonly onWait?: () => void;
}

/**
 * Takes the lock if it is free; makes the file (not its directory) when it is missing.
 * @returns undefined when another holder has it
 * @throws NodeJS.ErrnoException when the file cannot be opened or the file system has no locks
 */
export function tryLock(path: string, options: LockOptions = {}): FileLock | undefined {
  const shared = options.shared ?? false;
  for (;;) {
    const fd = openLockFile(path, shared);
    let kept = false;
    try {
      if (!flock(fd, shared, path)) return undefined;
      if (!isStillAt(fd, path)) continue;
      kept = true;
      return fileLock(fd, path, shared);
    } finally {
      if (!kept) closeSync(fd);
    }
  }
}

/**
 * Waits until the lock is free and takes it.
 * @throws the signal's reason when it aborts; NodeJS.ErrnoException as `tryLock`
 */
export async function lock(path: string, options: WaitOptions = {}): Promise<FileLock> {
  const { signal, onWait } = options;
  let delay = FIRST_POLL_MS;
  for (let waited = false; ; waited = true) {
    signal?.throwIfAborted();
    const taken = tryLock(path, options);
    if (taken !== undefined) return taken;
    if (!waited) onWait?.();
    await pause(delay, signal);
    // The jitter keeps processes that started together from polling together.
    delay = Math.min(LAST_POLL_MS, delay * (1.3 + Math.random() * 0.4));
  }
}

async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  try {
    await sleep(milliseconds, undefined, signal === undefined ? {} : { signal });
  } catch (error) {
    signal?.throwIfAborted();
    throw error;
  }
}

function fileLock(fd: number, path: string, shared: boolean): FileLock {
  let held = true;
  const unlock: FileLock["unlock"] = (options = {}) => {
    if (!held) return;
    held = false;
    try {
      if (options.remove === true && !shared && isStillAt(fd, path)) unlinkSync(path);
    } finally {
      closeSync(fd);
    }
  };
  return { path, shared, unlock, [Symbol.dispose]: () => unlock() };
}

function openLockFile(path: string, shared: boolean): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o666);
  } catch (error) {
    // Who may only read the store can still keep others from changing it while he reads.
    const code = (error as NodeJS.ErrnoException).code;
    if (!shared || (code !== "EACCES" && code !== "EROFS")) throw error;
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW);
  }
}

function isStillAt(fd: number, path: string): boolean {
  const mine = fstatSync(fd, { bigint: true });
  const there = statSync(path, { bigint: true, throwIfNoEntry: false });
  return there !== undefined && there.ino === mine.ino && there.dev === mine.dev;
}

let foreignFlock: Foreign | undefined;

/** @returns false when another holder has it */
function flock(fd: number, shared: boolean, path: string): boolean {
  if (!ffiAvailable()) return flockByProgram(fd, shared, path);
  foreignFlock ??= bind("int flock(int fd, int operation)");
  for (;;) {
    if (foreignFlock(fd, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) === 0) return true;
    const errno = lastErrno();
    const name = errnoName(errno);
    if (name === "EAGAIN") return false;
    if (name !== "EINTR") throw systemError(errno, "flock", path);
  }
}

/**
 * Without foreign calls: util-linux' `flock` locks the open file that it inherits, and the lock stays with that file, which
 * this process has open too, after the program has ended.
 */
function flockByProgram(fd: number, shared: boolean, path: string): boolean {
  const stdio = ["ignore", "ignore", "ignore", fd] as const;
  const result = spawnSync("flock", [shared ? "-s" : "-x", "-n", "-E", "75", "3"], { stdio: [...stdio] });
  if (result.status === 0) return true;
  if (result.status === 75) return false;
  throw new VarveError("FFI_UNAVAILABLE", `cannot lock ${path}: no foreign calls and no working flock program`, {
    cause: result.error,
  });
}
