/** Removing from the tree: one name, all that lies under it, or all that lower layers left in a directory. */
import { opendirSync, type Dir } from "node:fs";
import type { AtCalls } from "../sys/at.ts";
import { OPEN_DIRECTORY } from "../sys/at.ts";
import { errnoName, must, systemError } from "../sys/errno.ts";
import { decodeName } from "../sys/path-bytes.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryTree } from "./directory-tree.ts";

const OWNER_ALL = 0o700;
const NOT_EMPTY: ReadonlySet<string> = new Set(["ENOTEMPTY", "EEXIST"]);

export interface RemoverOptions {
  /** As in `DirectoryTreeOptions`. */
  readonly confinedTo: number | undefined;
  /** A directory of lower layers was hidden and stands again only because this layer has content in it. */
  readonly makeImplied: (directory: Directory) => void;
}

/** A directory that is being emptied. */
interface Level {
  readonly parentFd: number;
  readonly name: string;
  readonly fd: number;
  list: Dir;
  removed: number;
}

export class Remover {
  readonly #at: AtCalls;
  readonly #tree: DirectoryTree;
  readonly #options: RemoverOptions;

  constructor(at: AtCalls, tree: DirectoryTree, options: RemoverOptions) {
    this.#at = at;
    this.#tree = tree;
    this.#options = options;
  }

  /** Removes whatever stands at the name. @returns false when nothing does */
  remove(parent: Directory, name: string): boolean {
    parent.keepTimes();
    this.#tree.forget(parent, name);
    const fd = this.#tree.fd(parent);
    const first = this.#removeOne(fd, name);
    if (first !== "full") return first === "removed";
    const levels: Level[] = [];
    try {
      this.#removeTree(fd, name, levels);
    } finally {
      for (const level of levels) this.#leave(level);
    }
    return true;
  }

  /** Hides what lower layers have at the name: what this layer wrote there, before or after, stays. */
  hide(parent: Directory, name: string): void {
    if (parent.fresh) return;
    const child = parent.children?.get(name);
    const written = parent.written?.has(name) === true;
    if (child === undefined || (!written && !child.through)) {
      if (!written) this.remove(parent, name);
      return;
    }
    this.hideContent(child);
    if (!written) this.#options.makeImplied(child);
  }

  /** Hides what lower layers have in the directory. As deep as this layer wrote, which is bounded. */
  hideContent(directory: Directory): void {
    if (directory.fresh) return;
    // Some file systems pass over names while others go; a pass that finds nothing to do proves that all were seen.
    while (this.#hideOnce(directory) > 0);
    this.#descend(directory);
  }

  #hideOnce(directory: Directory): number {
    let removed = 0;
    const list = listOf(this.#tree.fd(directory));
    try {
      for (let name = nextName(list); name !== undefined; name = nextName(list)) {
        if (directory.written?.has(name) === true || directory.children?.get(name)?.through === true) continue;
        if (this.remove(directory, name)) removed++;
      }
    } finally {
      list.closeSync();
    }
    return removed;
  }

  #descend(directory: Directory): void {
    for (const child of directory.children?.values() ?? []) {
      this.hide(directory, child.name);
      this.#tree.trim();
    }
  }

  #removeOne(fd: number, name: string): "removed" | "missing" | "full" {
    const result = this.#at.unlink(fd, name);
    if (result >= 0) return "removed";
    const code = errnoName(-result);
    if (code === "ENOENT") return "missing";
    if (code === "EISDIR" || code === "EPERM") {
      const second = this.#at.rmdir(fd, name);
      if (second >= 0) return "removed";
      if (NOT_EMPTY.has(errnoName(-second))) return "full";
    }
    throw systemError(-result, "unlinkat", name);
  }

  #removeTree(parentFd: number, name: string, levels: Level[]): void {
    levels.push(this.#enter(parentFd, name));
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const next = nextName(level.list);
      if (next !== undefined) {
        level.removed++;
        if (this.#removeOne(level.fd, next) === "full") levels.push(this.#enter(level.fd, next));
        continue;
      }
      const result = this.#at.rmdir(level.parentFd, level.name);
      if (result < 0) this.#again(level, result);
      else this.#leave(levels.pop());
    }
  }

  #again(level: Level, result: number): void {
    if (!NOT_EMPTY.has(errnoName(-result)) || level.removed === 0) throw systemError(-result, "rmdir", level.name);
    level.removed = 0;
    level.list.closeSync();
    level.list = listOf(level.fd);
  }

  #enter(parentFd: number, name: string): Level {
    const fd = must(this.#at.open(parentFd, name, OPEN_DIRECTORY, 0), "openat", name);
    try {
      this.#admitOwner(fd, parentFd, name);
      return { parentFd, name, fd, list: listOf(fd), removed: 0 };
    } catch (error) {
      this.#at.close(fd);
      throw error;
    }
  }

  #admitOwner(fd: number, parentFd: number, name: string): void {
    if (this.#options.confinedTo === undefined) return;
    const status = this.#at.stat(fd, "");
    if (typeof status === "number" || (status.mode & OWNER_ALL) === OWNER_ALL) return;
    this.#at.chmod(parentFd, name, (status.mode & 0o7777) | OWNER_ALL);
  }

  #leave(level: Level | undefined): void {
    if (level === undefined) return;
    level.list.closeSync();
    this.#at.close(level.fd);
  }
}

/** Lists an open directory piece by piece: a directory may have more names than memory should hold. */
export function listOf(fd: number): Dir {
  return opendirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" as BufferEncoding, bufferSize: 256 });
}

export function nextName(list: Dir): string | undefined {
  const found = list.readSync();
  return found === null ? undefined : decodeName(found.name as unknown as Uint8Array);
}

export function isEmptyDirectory(fd: number): boolean {
  const list = listOf(fd);
  try {
    return nextName(list) === undefined;
  } finally {
    list.closeSync();
  }
}

/** All names in an open directory, before anything is done to it. */
export function namesIn(fd: number): string[] {
  const names: string[] = [];
  const list = listOf(fd);
  try {
    for (let name = nextName(list); name !== undefined; name = nextName(list)) names.push(name);
  } finally {
    list.closeSync();
  }
  return names;
}
