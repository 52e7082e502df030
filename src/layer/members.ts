/**
 * Makes one member of each type. Everything is made optimistically under its final name, exclusively and without following a
 * link; only when something stands there already is it removed and the call made again. A directory that finds a directory
 * keeps it and its content.
 */
import { constants } from "node:fs";
import { constants as system } from "node:os";
import type { TarEntry } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { AtCalls } from "../sys/at.ts";
import { errnoName, must, systemError } from "../sys/errno.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryTree } from "./directory-tree.ts";
import type { Lower } from "./lower.ts";
import type { Metadata } from "./metadata.ts";
import { quoteName, splitName } from "./names.ts";
import type { Tally } from "./report.ts";

const { EEXIST, ENOENT, EPERM } = system.errno;
const PERMISSIONS = 0o777;
const OWNER_ALL = 0o700;
const S_ISGID = 0o2000;
const NEW_FILE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
/** What the kernel keeps of device numbers, and what a tar may say at all. */
const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
const MAX_DEVICE = 0xffffffff;
/** Answers of mknod to one who may not make devices, or cannot (`ENOSYS`, without foreign calls). */
const NO_DEVICES: ReadonlySet<string> = new Set(["EPERM", "EACCES", "ENOSYS", "EINVAL", "ENOTSUP"]);
const MAX_LEFT_OUT = 10_000;
const PATH_MAX = 4096;

export interface Workshop {
  readonly at: AtCalls;
  readonly tree: DirectoryTree;
  readonly metadata: Metadata;
  readonly lower: Lower;
  readonly tally: Tally;
}

export class Members {
  readonly #at: AtCalls;
  readonly #tree: DirectoryTree;
  readonly #metadata: Metadata;
  readonly #lower: Lower;
  readonly #tally: Tally;
  /** Paths of devices of this layer that were not made, so that hard links to them are left out too. */
  readonly #leftOut = new Set<string>();

  constructor(workshop: Workshop) {
    this.#at = workshop.at;
    this.#tree = workshop.tree;
    this.#metadata = workshop.metadata;
    this.#lower = workshop.lower;
    this.#tally = workshop.tally;
  }

  /** What follows is of another layer. */
  beginLayer(): void {
    this.#leftOut.clear();
  }

  /** A regular file, open for writing. @returns the descriptor */
  openFile(parent: Directory, base: string, entry: TarEntry): number {
    const fd = this.#tree.fd(parent);
    const mode = entry.mode & PERMISSIONS;
    let file = this.#at.open(fd, base, NEW_FILE, mode);
    if (file === -EEXIST) {
      this.#lower.remove(parent, base);
      file = this.#at.open(fd, base, NEW_FILE, mode);
    }
    return must(file, "openat", entry.name);
  }

  /** The root itself: only its attributes are the layer's. umoci does so too, containerd leaves the root alone. */
  root(entry: TarEntry): void {
    this.#describe(this.#tree.root, this.#tree.root, ".", entry);
  }

  directory(parent: Directory, base: string, entry: TarEntry): void {
    const fd = this.#tree.fd(parent);
    const mode = (entry.mode & PERMISSIONS) | OWNER_ALL;
    let result = this.#at.mkdir(fd, base, mode);
    const taken = result === -EEXIST;
    if (taken) {
      const found = this.#tree.child(parent, base);
      if (typeof found !== "number") return this.#describe(found, parent, base, entry);
      this.#lower.remove(parent, base);
      result = this.#at.mkdir(this.#tree.fd(parent), base, mode);
    }
    must(result, "mkdirat", entry.name);
    const made = this.#tree.adopt(parent, base);
    made.finish = this.#metadata.directory(parent, this.#tree.fd(parent), base, entry, undefined);
    made.inherits = (entry.mode & S_ISGID) !== 0;
    this.#lower.made(made, taken);
  }

  /** A parent that the archive does not describe. */
  impliedDirectory(parent: Directory, base: string): Directory {
    parent.keepTimes();
    const fd = this.#tree.fd(parent);
    must(this.#at.mkdir(fd, base, 0o755), "mkdirat", base);
    this.#tree.remember(parent, base);
    const made = this.#tree.adopt(parent, base);
    made.finish = this.#metadata.implied(parent, fd, base);
    return made;
  }

  /** The root of a tree that is still empty, in case that no entry describes it. */
  emptyRoot(): void {
    const { root } = this.#tree;
    root.finish = this.#metadata.emptyRoot(this.#tree.fd(root));
  }

  /** The same, for one that is there: see `RemoverOptions.makeImplied`. */
  resetToImplied(directory: Directory): void {
    const parent = directory.parent ?? directory;
    directory.finish = this.#metadata.resetToImplied(this.#tree.fd(parent), directory.name);
    directory.newUid = -1;
    directory.hasDefaultAcl = false;
    directory.inherits = false;
  }

  symlink(parent: Directory, base: string, entry: TarEntry): void {
    if (entry.linkName === "") {
      throw new VarveError("LAYER_INVALID", `symbolic link without a target: ${quoteName(entry.name)}`);
    }
    const fd = this.#tree.fd(parent);
    let result = this.#at.symlink(entry.linkName, fd, base);
    if (result === -EEXIST) {
      this.#lower.remove(parent, base);
      result = this.#at.symlink(entry.linkName, fd, base);
    }
    must(result, "symlinkat", entry.name);
    this.#metadata.special(parent, fd, base, entry);
  }

  /** A further name for a file, whose own name is found inside the root and is not followed when it is a link. */
  link(parent: Directory, base: string, entry: TarEntry): void {
    const [parentName, target] = splitName(entry.linkName);
    const from = target === undefined ? undefined : this.#lower.source(parentName, target);
    if (from === "lower") return;
    if (target === undefined || from === undefined) throw noTarget(entry);
    if (from === parent && target === base) return this.#lower.madeNothing(parent);
    const result = this.#lower.isHidden(from, target)
      ? -ENOENT
      : this.#lower.linked(from, target, () => this.#linkOver(from, target, parent, base));
    if (result === -ENOENT && this.#leftOut.has(`${from.path}/${target}`)) {
      return this.#leaveOut(parent, base, entry, "its target is");
    }
    if (result === -ENOENT || result === -EPERM) throw noTarget(entry);
    must(result, "linkat", entry.name);
    this.#metadata.linked(this.#tree.fd(parent), base, entry);
  }

  /** A fifo or device. */
  device(parent: Directory, base: string, entry: TarEntry): void {
    const { type, deviceMajor: major, deviceMinor: minor } = entry;
    if (type !== "fifo" && !(isDevice(major) && isDevice(minor))) {
      throw new VarveError("LAYER_INVALID", `device number ${major}:${minor} of ${quoteName(entry.name)}`);
    }
    if (type === "char" && major === 0 && minor === 0)
      return this.#leaveOut(parent, base, entry, "overlay whiteouts are");
    if (type !== "fifo" && (major > MAX_MAJOR || minor > MAX_MINOR)) {
      return this.#leaveOut(parent, base, entry, `numbers as high as ${major}:${minor} are`);
    }
    const fd = this.#tree.fd(parent);
    const kind = type === "fifo" ? constants.S_IFIFO : type === "char" ? constants.S_IFCHR : constants.S_IFBLK;
    const mode = kind | (entry.mode & PERMISSIONS);
    const [high, low] = type === "fifo" ? [0, 0] : [major, minor];
    let result = this.#at.mknod(fd, base, mode, high, low);
    if (result === -EEXIST) {
      this.#lower.remove(parent, base);
      result = this.#at.mknod(fd, base, mode, high, low);
    }
    if (result < 0 && NO_DEVICES.has(errnoName(-result))) {
      return this.#leaveOut(parent, base, entry, `refused (${errnoName(-result)}): devices are`);
    }
    must(result, "mknodat", entry.name);
    this.#metadata.special(parent, fd, base, entry);
  }

  /** A found directory takes the entry's attributes and keeps its content. */
  #describe(directory: Directory, parent: Directory, base: string, entry: TarEntry): void {
    const fd = this.#tree.fd(parent);
    const status = this.#at.stat(fd, base);
    if (typeof status === "number") throw systemError(-status, "statx", entry.name);
    directory.finish = this.#metadata.directory(parent, fd, base, entry, status);
    directory.newUid = -1;
    directory.hasDefaultAcl = false;
    directory.inherits = (entry.mode & S_ISGID) !== 0;
    this.#lower.described(directory);
  }

  #linkOver(from: Directory, target: string, parent: Directory, base: string): number {
    const result = this.#at.link(this.#tree.fd(from), target, this.#tree.fd(parent), base);
    if (result !== -EEXIST) return result;
    if (this.#isSameFile(from, target, parent, base)) return 0;
    if (isWithin(from, parent.children?.get(base))) return -ENOENT;
    this.#lower.remove(parent, base);
    return this.#at.link(this.#tree.fd(from), target, this.#tree.fd(parent), base);
  }

  #isSameFile(from: Directory, target: string, parent: Directory, base: string): boolean {
    const one = this.#at.stat(this.#tree.fd(from), target);
    const other = this.#at.stat(this.#tree.fd(parent), base);
    if (typeof one === "number" || typeof other === "number") return false;
    return one.inode === other.inode && one.device === other.device;
  }

  #leaveOut(parent: Directory, base: string, entry: TarEntry, why: string): void {
    this.#lower.remove(parent, base);
    this.#lower.leftOut(parent, base);
    this.#tally.skip("devices", () => `${quoteName(entry.name)} left out: ${why} not made`);
    const path = `${parent.path}/${base}`;
    if (this.#leftOut.size < MAX_LEFT_OUT && path.length <= PATH_MAX) this.#leftOut.add(path);
  }
}

function isWithin(directory: Directory, other: Directory | undefined): boolean {
  for (let at: Directory | undefined = directory; at !== undefined; at = at.parent) if (at === other) return true;
  return false;
}

function isDevice(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0 && number <= MAX_DEVICE;
}

function noTarget(entry: TarEntry): VarveError {
  const [name, target] = [quoteName(entry.name), quoteName(entry.linkName)];
  return new VarveError("LAYER_INVALID", `the hard link ${name} has no file to link to: ${target}`);
}
