/**
 * Goes through all that lies below a directory, parents before their children, holding directories by descriptor: nobody can lead it
 * elsewhere by swapping one for a link, and it goes into nothing that is mounted there. Memory is what the depth takes.
 *
 * Synchronous, since a promise costs more than looking at a name; who walks far lets others have their turn in between.
 */
import { opendirSync, type Dir } from "node:fs";
import { AT_FDCWD, OPEN_DIRECTORY, type AtCalls, type FileStatus } from "./at.ts";
import { errnoName, systemError } from "./errno.ts";
import { openBelow } from "./open-below.ts";
import { decodeName } from "./path-bytes.ts";

/** linux/stat.h, the same on all architectures. */
export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;

export interface Visit {
  /** A directory comes twice, before its children and after them. */
  readonly event: "enter" | "leave" | "other";
  /** Descriptor of the directory that it lies in (`O_PATH`); `AT_FDCWD` of the root, whose name then is the path. */
  readonly parent: number;
  readonly name: string;
  /** As it was found. */
  readonly status: FileStatus;
  /** Of a directory its own descriptor (`O_PATH`), otherwise -1. Closed when the walk goes on after "leave". */
  readonly fd: number;
}

export interface WalkOptions {
  /**
   * Whether to pass over what cannot be looked at for this reason: `ENOENT` for what vanished meanwhile, `EXDEV` for mount points, `EACCES`.
   * Default: such a thing is an error.
   */
  readonly passOver?: (code: string) => boolean;
  /** Makes a directory readable before it is listed. @returns what takes that back when its children are done */
  readonly admit?: (fd: number, status: FileStatus) => (() => void) | undefined;
}

interface Level {
  readonly visit: Visit;
  readonly list: Dir;
  readonly restore: (() => void) | undefined;
}

/** @throws NodeJS.ErrnoException */
export function* walkTree(at: AtCalls, root: string, options: WalkOptions = {}): Generator<Visit, void> {
  const { passOver = () => false, admit = () => undefined } = options;
  const levels: Level[] = [];
  try {
    for (const first of look(AT_FDCWD, root)) yield first;
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = nextName(level.list);
      if (name !== undefined) {
        for (const found of look(level.visit.fd, name)) yield found;
        continue;
      }
      yield { ...level.visit, event: "leave" };
      levels.pop();
      close(at, level);
    }
  } finally {
    for (const level of levels.toReversed()) close(at, level);
  }

  /** @returns nothing for what is passed over */
  function look(parent: number, name: string): [] | [Visit] {
    const status = at.stat(parent, name);
    if (typeof status === "number") return refuse(status, "statx", name);
    if ((status.mode & S_IFMT) !== S_IFDIR) return [{ event: "other", parent, name, status, fd: -1 }];
    const fd = openBelow(at, parent, name, OPEN_DIRECTORY);
    if (fd < 0) return refuse(fd, "openat", name);
    const visit: Visit = { event: "enter", parent, name, status, fd };
    let restore: (() => void) | undefined;
    try {
      restore = admit(fd, status);
      levels.push({ visit, list: listOf(fd), restore });
      return [visit];
    } catch (error) {
      restore?.();
      at.close(fd);
      const { code = "" } = error as NodeJS.ErrnoException;
      if (passOver(code)) return [];
      throw error;
    }
  }

  function refuse(result: number, syscall: string, name: string): [] {
    if (passOver(errnoName(-result))) return [];
    throw systemError(-result, syscall, name);
  }
}

function close(at: AtCalls, { visit, list, restore }: Level): void {
  list.closeSync();
  restore?.();
  at.close(visit.fd);
}

/** Lists an open directory piece by piece: one may have more names than memory should hold. */
export function listOf(fd: number): Dir {
  return opendirSync(`/proc/self/fd/${fd}`, { encoding: "buffer" as BufferEncoding, bufferSize: 256 });
}

export function nextName(list: Dir): string | undefined {
  const found = list.readSync();
  return found === null ? undefined : decodeName(found.name as unknown as Uint8Array);
}
