/** Makes again, one after the other, what a walk through a tree meets (see clone-tree.ts). */
import { constants } from "node:fs";
import { setImmediate } from "node:timers/promises";
import { AT_FDCWD, OPEN_DIRECTORY, type AtCalls, type FileStatus } from "../../sys/at.ts";
import { errnoName, must, systemError } from "../../sys/errno.ts";
import { copyContent, reflink } from "../../sys/reflink.ts";
import { removeTree } from "../../sys/remove-tree.ts";
import { S_IFDIR, S_IFMT, type Visit } from "../../sys/walk-tree.ts";
import { CloneMetadata, type Skipped } from "./clone-metadata.ts";
import { LinkFarm } from "./link-farm.ts";

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, S_IFREG, S_IFLNK } = constants;
const OWNER_ALL = 0o700;
const OWNER_READ = 0o400;
const OWNER_ENTER = 0o500;
const OWNER_FILE = 0o600;
const PERMISSIONS = 0o7777;
/** Below it a copy is not worth a turn of its own. */
const SMALL = 1 << 20;

export interface TreeCloneOptions {
  readonly to: string;
  /** An empty directory, for {@link LinkFarm}. */
  readonly links: string;
  readonly onto: boolean;
}

export class TreeClone implements Disposable {
  readonly #at: AtCalls;
  readonly #options: TreeCloneOptions;
  readonly #metadata: CloneMetadata;
  readonly #links: LinkFarm;
  /** The directories that are open, the root first. */
  readonly #open: number[] = [];
  #inodes = 0;
  #shares = true;

  constructor(at: AtCalls, options: TreeCloneOptions) {
    this.#at = at;
    this.#options = options;
    this.#metadata = new CloneMetadata(at);
    this.#links = new LinkFarm(at, options.links);
  }

  get inodes(): number {
    return this.#inodes;
  }

  get skipped(): Readonly<Skipped> {
    return this.#metadata.skipped;
  }

  [Symbol.dispose](): void {
    for (const fd of this.#open) this.#at.close(fd);
    this.#links[Symbol.dispose]();
  }

  /** Lets a user into his own directories, for as long as they are read. For `walkTree`. */
  readonly admit = (fd: number, { mode }: FileStatus): (() => void) | undefined => {
    if (!this.#metadata.confined || (mode & OWNER_ENTER) === OWNER_ENTER) return undefined;
    must(this.#at.chmod(fd, "", (mode & PERMISSIONS) | OWNER_ENTER), "fchmod");
    return () => void this.#at.chmod(fd, "", mode & PERMISSIONS);
  };

  /** Yields what is to be waited for. */
  *visit(visit: Visit): Generator<Promise<unknown>, void> {
    switch (visit.event) {
      case "enter":
        yield* this.#enter(visit);
        break;
      case "leave": {
        const fd = this.#open.at(-1) ?? AT_FDCWD;
        this.#metadata.directory(visit.fd, fd, visit.status);
        this.#open.pop();
        this.#at.close(fd);
        break;
      }
      case "other":
        yield* this.#make(visit, this.#open.at(-1) ?? AT_FDCWD);
        break;
    }
  }

  *#enter({ name }: Visit): Generator<Promise<unknown>, void> {
    const parent = this.#open.at(-1);
    const [directory, own] = parent === undefined ? [AT_FDCWD, this.#options.to] : [parent, name];
    let result = this.#at.mkdir(directory, own, OWNER_ALL);
    if (errnoName(-result) === "EEXIST" && (parent === undefined || this.#options.onto)) {
      result = this.#isDirectory(directory, own) ? 0 : yield* this.#replace(directory, own);
    }
    must(result, "mkdirat", own);
    const fd = must(this.#at.open(directory, own, OPEN_DIRECTORY, 0), "openat", own);
    this.#open.push(fd);
    this.#inodes++;
    if (this.#metadata.confined) must(this.#at.chmod(fd, "", OWNER_ALL), "fchmod", own);
    // Nothing that is made in it inherits anything then.
    if (parent === undefined || this.#options.onto) this.#metadata.clear(fd);
  }

  #isDirectory(directory: number, name: string): boolean {
    const status = this.#at.stat(directory, name);
    return typeof status !== "number" && (status.mode & S_IFMT) === S_IFDIR;
  }

  *#replace(directory: number, name: string): Generator<Promise<unknown>, number> {
    yield* this.#clear(directory, name);
    return this.#at.mkdir(directory, name, OWNER_ALL);
  }

  /** Removes what a tree that is cloned onto has at the name. */
  *#clear(directory: number, name: string): Generator<Promise<unknown>, void> {
    const result = this.#at.unlink(directory, name);
    if (result >= 0 || errnoName(-result) === "ENOENT") return;
    yield removeTree(directory === AT_FDCWD ? name : `/proc/self/fd/${directory}/${name}`);
  }

  *#make({ parent, name, status }: Visit, to: number): Generator<Promise<unknown>, void> {
    if (this.#options.onto) yield* this.#clear(to, name);
    if (status.links > 1 && this.#links.link(status, to, name)) return;
    const type = status.mode & S_IFMT;
    if (type === S_IFREG) yield* this.#file(parent, name, status, to);
    else if (!this.#makeOther(parent, name, status, to)) return;
    this.#inodes++;
    this.#links.keep(status, to, name);
  }

  *#file(parent: number, name: string, status: FileStatus, to: number): Generator<Promise<unknown>, void> {
    const source = this.#openSource(parent, name, status);
    try {
      const flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW;
      const target = must(this.#at.open(to, name, flags, OWNER_FILE), "openat", name);
      try {
        yield* this.#content(source, target, status.size);
        this.#metadata.file(target, parent, to, name, status);
      } finally {
        this.#at.close(target);
      }
    } finally {
      this.#at.close(source);
    }
  }

  *#content(source: number, target: number, size: number): Generator<Promise<unknown>, void> {
    if (size === 0) return;
    // A file system that cannot once never can; small files may be kept where sharing is not to be had, so they tell nothing.
    if (this.#shares && reflink(source, target)) return;
    if (size >= SMALL) this.#shares = false;
    for (const copied of copyContent(source, target, size)) if (copied >= SMALL) yield setImmediate();
  }

  #openSource(parent: number, name: string, { mode }: FileStatus): number {
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK;
    const file = this.#at.open(parent, name, flags, 0);
    if (file >= 0 || !this.#metadata.confined || errnoName(-file) !== "EACCES") return must(file, "openat", name);
    must(this.#at.chmod(parent, name, (mode & PERMISSIONS) | OWNER_READ), "fchmodat", name);
    try {
      return must(this.#at.open(parent, name, flags, 0), "openat", name);
    } finally {
      this.#at.chmod(parent, name, mode & PERMISSIONS);
    }
  }

  /** @returns false for a device that this user may not make */
  #makeOther(parent: number, name: string, status: FileStatus, to: number): boolean {
    const isLink = (status.mode & S_IFMT) === S_IFLNK;
    if (isLink) {
      const target = this.#at.readlink(parent, name);
      if (typeof target === "number") throw systemError(-target, "readlinkat", name);
      must(this.#at.symlink(target, to, name), "symlinkat", name);
    } else {
      const type = status.mode & S_IFMT;
      const result = this.#at.mknod(to, name, type | OWNER_FILE, status.deviceMajor, status.deviceMinor);
      if (this.#metadata.restricted && ["EPERM", "ENOSYS"].includes(errnoName(-result))) {
        this.#metadata.skipped.devices++;
        return false;
      }
      must(result, "mknodat", name);
    }
    this.#metadata.other(parent, to, name, status, isLink);
    return true;
  }
}
