/**
 * Removes a directory with all that is in it, whatever the names' bytes and the directories' modes. Directories are held by descriptor, so
 * that nobody can lead it out of the tree, and it goes into no file system that is mounted in it: what belongs to a container that still
 * runs stays. Several may do this to one tree at once.
 */
import type { Dir } from "node:fs";
import { atCalls, AT_FDCWD, OPEN_DIRECTORY, type AtCalls } from "./at.ts";
import { errnoName, must, systemError } from "./errno.ts";
import { openBelow } from "./open-below.ts";
import { listOf, nextName } from "./walk-tree.ts";

const OWNER_ALL = 0o700;
/** Names after which others get their turn: some milliseconds of work. */
const TURN = 512;
const NOT_EMPTY: ReadonlySet<string> = new Set(["ENOTEMPTY", "EEXIST"]);

interface Level {
  readonly name: string;
  readonly parent: number;
  readonly fd: number;
  list: Dir;
  removed: number;
}

/**
 * A missing one is fine; a file or a link goes too.
 * @throws NodeJS.ErrnoException `EBUSY` or `EXDEV` when something is mounted in it; what is not below that may be gone then
 */
export async function removeTree(path: string): Promise<void> {
  const at = atCalls();
  if (removeOne(at, AT_FDCWD, path) !== "full") return;
  const levels: Level[] = [];
  let done = 0;
  try {
    enter(at, levels, AT_FDCWD, path);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      if (++done % TURN === 0) await new Promise(setImmediate);
      const next = nextName(level.list);
      if (next !== undefined) {
        level.removed++;
        if (removeOne(at, level.fd, next) === "full") enter(at, levels, level.fd, next);
      } else if (removeEmpty(at, level)) leave(at, levels.pop());
    }
  } finally {
    for (const level of levels) leave(at, level);
  }
}

function removeOne(at: AtCalls, directory: number, name: string): "removed" | "full" {
  const result = at.unlink(directory, name);
  if (result >= 0) return "removed";
  const code = errnoName(-result);
  if (code === "ENOENT") return "removed";
  if (code !== "EISDIR" && code !== "EPERM") throw systemError(-result, "unlinkat", name);
  const second = at.rmdir(directory, name);
  if (second >= 0) return "removed";
  const why = errnoName(-second);
  if (why === "ENOENT") return "removed";
  if (NOT_EMPTY.has(why)) return "full";
  // It was no directory after all, and may just not be removed.
  throw why === "ENOTDIR" ? systemError(-result, "unlinkat", name) : systemError(-second, "rmdir", name);
}

/** @returns false when names came to light that the listing had passed over */
function removeEmpty(at: AtCalls, level: Level): boolean {
  const result = at.rmdir(level.parent, level.name);
  if (result >= 0 || errnoName(-result) === "ENOENT") return true;
  if (!NOT_EMPTY.has(errnoName(-result)) || level.removed === 0) throw systemError(-result, "rmdir", level.name);
  level.removed = 0;
  level.list.closeSync();
  level.list = listOf(level.fd);
  return false;
}

function enter(at: AtCalls, levels: Level[], parent: number, name: string): void {
  const fd = openBelow(at, parent, name, OPEN_DIRECTORY);
  if (fd < 0) {
    // Another who removes the same was faster.
    if (errnoName(-fd) === "ENOENT") return;
    throw systemError(-fd, "openat", name);
  }
  try {
    admitOwner(at, fd);
    levels.push({ name, parent, fd, list: listOf(fd), removed: 0 });
  } catch (error) {
    at.close(fd);
    throw error;
  }
}

/** Who is not root needs the rights of an owner to see and remove what a directory holds. */
function admitOwner(at: AtCalls, fd: number): void {
  if (process.geteuid?.() === 0) return;
  const status = at.stat(fd, "");
  if (typeof status === "number" || (status.mode & OWNER_ALL) === OWNER_ALL) return;
  must(at.chmod(fd, "", (status.mode & 0o7777) | OWNER_ALL), "fchmod");
}

function leave(at: AtCalls, level: Level | undefined): void {
  if (level === undefined) return;
  level.list.closeSync();
  at.close(level.fd);
}
