/**
 * Finds the directory that a name leads to, as in a chroot and without trust in any path: every component is opened with
 * `O_PATH | O_DIRECTORY | O_NOFOLLOW` from the descriptor of the one before, links are read and followed by us, an absolute
 * link starts again at the root and `..` stops there.
 *
 * A path kept as a string is what CVE-2025-47290 was made of. What is kept here are real directories, which only this tree's
 * owner removes (`forget`), and the answer for the last name, which holds as long as nothing was removed.
 */
import { constants as system } from "node:os";
import { constants } from "node:fs";
import { VarveError } from "../errors/varve-error.ts";
import { AT_FDCWD, OPEN_DIRECTORY, O_PATH, type AtCalls } from "../sys/at.ts";
import { must, systemError } from "../sys/errno.ts";
import { xattrCalls } from "../sys/xattr.ts";
import { Directory } from "./directory.ts";
import { overLimit, type ApplyLimits } from "./limits.ts";
import { cleanName, quoteName } from "./names.ts";

const { ENOENT, ENOTDIR, ELOOP, EINVAL } = system.errno;
/** Where a name leads to: a directory, and the names below it that are missing. */
export interface Place {
  readonly directory: Directory;
  readonly missing: readonly string[];
}

/** As in the kernel. */
const MAX_LINKS = 40;
/** Open descriptors kept between members. One member may open as many more as its name is deep. */
const MAX_OPEN = 128;
const S_ISGID = 0o2000;
const OWNER_ALL = 0o700;

export interface DirectoryTreeOptions {
  readonly limits: Required<ApplyLimits>;
  /** Makes a directory that a name takes for granted. */
  readonly makeImplied: (parent: Directory, name: string) => Directory;
  /** See `Lower`. */
  readonly isHidden: (parent: Directory, name: string) => boolean;
  readonly passed: (parent: Directory, name: string) => void;
  /** The user that directories must let in before they can be filled; undefined for one who passes everywhere. */
  readonly confinedTo: number | undefined;
}

export class DirectoryTree implements Disposable {
  readonly #at: AtCalls;
  readonly #options: DirectoryTreeOptions;
  readonly #rootFd: number;
  #root: Directory;
  readonly #open = new Set<Directory>();
  #remembered = 0;
  #lastName: string | undefined;
  #last: Directory | undefined;

  /** @throws NodeJS.ErrnoException when `path` is no directory */
  constructor(path: string, at: AtCalls, options: DirectoryTreeOptions) {
    this.#at = at;
    this.#options = options;
    this.#rootFd = must(at.open(AT_FDCWD, path, O_PATH | constants.O_DIRECTORY, 0), "open", path);
    this.#root = new Directory(undefined, "", false);
  }

  get root(): Directory {
    return this.#root;
  }

  /** Forgets everything about the layer before. `fresh` says that the root holds nothing from before this layer. */
  begin(fresh: boolean): void {
    for (const directory of this.#open) this.#close(directory);
    this.#root = new Directory(undefined, "", fresh);
    this.#root.fd = this.#rootFd;
    this.#look(this.#root);
    this.#remembered = 0;
    this.#lastName = undefined;
  }

  [Symbol.dispose](): void {
    for (const directory of this.#open) this.#close(directory);
    this.#at.close(this.#rootFd);
  }

  /** The directory `name` leads to; missing ones on the way are made. @throws LAYER_INVALID, LAYER_LIMIT */
  reach(name: string): Directory {
    if (name === this.#lastName && this.#last !== undefined) return this.#last;
    const place = this.#walk(name, true);
    if (place === undefined) throw systemError(ENOENT, "openat", name);
    const found = this.make(place);
    this.#lastName = name;
    this.#last = found;
    return found;
  }

  /** The directory `name` leads to, or undefined when there is none. @throws LAYER_INVALID, LAYER_LIMIT */
  find(name: string): Directory | undefined {
    if (name === this.#lastName && this.#last !== undefined) return this.#last;
    const place = this.#walk(name, false);
    return place === undefined || place.missing.length > 0 ? undefined : place.directory;
  }

  /** As far as `name` leads, or undefined when something on the way is no directory. @throws LAYER_INVALID, LAYER_LIMIT */
  place(name: string): Place | undefined {
    return this.#walk(name, false);
  }

  /** Makes what is missing. */
  make({ directory, missing }: Place): Directory {
    let at = directory;
    for (const next of missing) at = this.#options.makeImplied(at, next);
    return at;
  }

  /** The descriptor of a directory, opened again if it was closed. */
  fd(directory: Directory): number {
    if (directory.fd >= 0) return directory.fd;
    const closed: Directory[] = [];
    let from = directory;
    for (; from.fd < 0 && from.parent !== undefined; from = from.parent) closed.push(from);
    for (let next = closed.pop(); next !== undefined; next = closed.pop()) {
      const parent = next.parent ?? this.#root;
      next.fd = must(this.#at.open(parent.fd, next.name, OPEN_DIRECTORY, 0), "openat", next.path);
      this.#open.add(next);
    }
    return directory.fd;
  }

  /** The child directory, or a negated errno: `-ENOENT`, or `-ENOTDIR` for all that is no directory, links too. */
  child(parent: Directory, name: string): Directory | number {
    const known = parent.children?.get(name);
    if (known !== undefined) return known;
    const fd = this.#openChild(parent, name);
    if (fd < 0) return fd === -ELOOP ? -ENOTDIR : fd;
    const child = this.#add(parent, name, parent.fresh);
    child.fd = fd;
    this.#open.add(child);
    this.#look(child);
    return child;
  }

  /** A directory that was made just now with the given mode. */
  adopt(parent: Directory, name: string): Directory {
    const child = this.#add(parent, name, true);
    child.known = true;
    return child;
  }

  /** Must be called before or after whatever stands at the name is removed or replaced: no open directory may outlive it. */
  forget(parent: Directory, name: string): void {
    this.#lastName = undefined;
    const gone = parent.children?.get(name);
    if (gone === undefined) return;
    parent.children?.delete(name);
    const pending = [gone];
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      this.#close(next);
      for (const child of next.children?.values() ?? []) pending.push(child);
    }
  }

  /** Notes that the layer wrote `name` into `directory`. @throws LAYER_LIMIT */
  remember(directory: Directory, name: string): void {
    this.#count(directory.remember(name));
  }

  /** Closes the descriptors that were not used for longest. Called between members, never while one is at work. */
  trim(): void {
    if (this.#open.size <= MAX_OPEN) return;
    for (const directory of this.#open) {
      if (this.#open.size <= MAX_OPEN) return;
      if (directory !== this.#last) this.#close(directory);
    }
  }

  /** Components that are not there cancel out with the `..` that follow them, as in containerd; only the rest is made. */
  #walk(name: string, strict: boolean): Place | undefined {
    const pending = cleanName(name).toReversed();
    const missing: string[] = [];
    let at = this.#root;
    let links = 0;
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (next === "" || next === ".") continue;
      if (next === "..") {
        const [first] = missing;
        if (first !== undefined) this.#options.passed(at, first);
        if (missing.pop() === undefined) at = at.parent ?? at;
        continue;
      }
      const child = missing.length > 0 ? -ENOENT : this.child(at, next);
      if (typeof child !== "number") {
        at = child;
      } else if (child === -ENOENT) {
        missing.push(next);
      } else if (child === -ENOTDIR) {
        const target = this.#readLink(at, next);
        if (target !== undefined) {
          if (++links > MAX_LINKS) throw systemError(ELOOP, "openat", name);
          if (target.startsWith("/")) at = this.#root;
          pending.push(...target.split("/").toReversed());
        } else if (this.#options.isHidden(at, next)) {
          missing.push(next);
        } else {
          if (strict) throw notDirectory(at, next);
          return undefined;
        }
      } else {
        throw systemError(-child, "openat", name);
      }
    }
    this.#touch(at);
    return { directory: at, missing };
  }

  #readLink(parent: Directory, name: string): string | undefined {
    const target = this.#at.readlink(this.fd(parent), name);
    if (typeof target === "string") return target;
    if (target === -EINVAL) return undefined;
    throw systemError(-target, "readlinkat", name);
  }

  #openChild(parent: Directory, name: string): number {
    return this.#at.open(this.fd(parent), name, OPEN_DIRECTORY, 0);
  }

  #add(parent: Directory, name: string, fresh: boolean): Directory {
    if (parent.depth >= this.#options.limits.depth)
      throw overLimit("directories in one path", this.#options.limits.depth);
    this.#count(1);
    const child = new Directory(parent, name, fresh);
    (parent.children ??= new Map()).set(child.name, child);
    return child;
  }

  #count(more: number): void {
    this.#remembered += more;
    const limit = this.#options.limits.remembered;
    if (this.#remembered > limit) throw overLimit("directories and names to remember", limit);
  }

  /** Learns what a directory from before this layer imposes on its members, and its times, which the layer must not change. */
  #look(directory: Directory): void {
    if (directory.known) return;
    directory.known = true;
    const status = this.#at.stat(directory.fd, "");
    if (typeof status === "number") throw systemError(-status, "statx", directory.path);
    if (!directory.fresh) directory.times = { accessedAt: status.accessedAt, modifiedAt: status.modifiedAt };
    if (status.uid === this.#options.confinedTo && (status.mode & OWNER_ALL) !== OWNER_ALL) {
      const mode = status.mode & 0o7777;
      this.#admitOwner(directory, mode);
      directory.finish = { accessedAt: status.accessedAt, modifiedAt: status.modifiedAt, mode };
    }
    directory.hasDefaultAcl = this.#at.native && hasDefaultAcl(directory.fd);
    directory.inherits = directory.hasDefaultAcl || (status.mode & S_ISGID) !== 0;
  }

  /** A directory that keeps its own owner out is opened to him until the layer ends. */
  #admitOwner(directory: Directory, mode: number): void {
    const { parent } = directory;
    const result =
      parent === undefined
        ? this.#at.chmod(directory.fd, "", mode | OWNER_ALL)
        : this.#at.chmod(this.fd(parent), directory.name, mode | OWNER_ALL);
    must(result, "fchmodat", directory.path);
  }

  #touch(directory: Directory): void {
    if (this.#open.delete(directory)) this.#open.add(directory);
  }

  #close(directory: Directory): void {
    if (!this.#open.delete(directory)) return;
    this.#at.close(directory.fd);
    directory.fd = -1;
  }
}

function hasDefaultAcl(fd: number): boolean {
  try {
    return xattrCalls().get(`/proc/self/fd/${fd}/.`, "system.posix_acl_default") !== undefined;
  } catch (error) {
    // Nothing can be made in a directory that may not be entered.
    if ((error as NodeJS.ErrnoException).code === "EACCES") return false;
    throw error;
  }
}

function notDirectory(parent: Directory, name: string): VarveError {
  const path = quoteName(parent.parent === undefined ? name : `${parent.path}/${name}`);
  return new VarveError("LAYER_INVALID", `a member lies under ${path}, which is not a directory`);
}
