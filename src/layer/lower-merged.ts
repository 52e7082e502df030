/**
 * Lower layers as a mounted overlay shows them. It is written to like any tree, but for one thing: when a file of several names is
 * changed or linked, overlayfs copies it up under the one name, and the others keep the old file (without its option `index`, whose
 * bookkeeping would not outlive the mount). Then they are made names of the copy.
 */
import { constants, type Dir } from "node:fs";
import { OPEN_DIRECTORY, type AtCalls, type FileStatus } from "../sys/at.ts";
import { must, systemError } from "../sys/errno.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryTree } from "./directory-tree.ts";
import { overLimit } from "./limits.ts";
import { LowerInPlace } from "./lower-in-place.ts";
import { splitName } from "./names.ts";
import { listOf, nextName } from "./remover.ts";
import type { LowerTools } from "./tree-parts.ts";

export class LowerMerged extends LowerInPlace {
  readonly #at: AtCalls;
  readonly #tree: DirectoryTree;
  readonly #limit: number;
  /** Paths of all files of several names, by inode, as they were when they were asked for first. */
  #names: Map<string, string[]> | undefined;

  constructor(tools: LowerTools) {
    super(tools);
    this.#at = tools.at;
    this.#tree = tools.tree;
    this.#limit = tools.limits.remembered;
  }

  override linked(parent: Directory, name: string, link: () => number): number {
    const before = this.#at.stat(this.#tree.fd(parent), name);
    if (typeof before === "number" || before.links < 2 || isDirectory(before)) return link();
    const key = keyOf(before);
    this.#names ??= collectNames(this.#at, this.#tree.fd(this.#tree.root), this.#limit);
    const names = this.#names.get(key) ?? [];
    const result = link();
    if (result < 0) return result;
    for (const path of names) this.#relink(parent, name, path, key);
    this.#names.delete(key);
    return result;
  }

  #relink(from: Directory, name: string, path: string, key: string): void {
    const [directory, other = ""] = splitName(path);
    const parent = this.#tree.find(directory);
    if (parent === undefined || (parent === from && other === name)) return;
    const fd = this.#tree.fd(parent);
    const now = this.#at.stat(fd, other);
    // It may be something else by now, or the copy.
    if (typeof now === "number" || keyOf(now) !== key) return;
    parent.keepTimes();
    must(this.#at.unlink(fd, other), "unlinkat", path);
    must(this.#at.link(this.#tree.fd(from), name, this.#tree.fd(parent), other), "linkat", path);
  }
}

/** A directory that is being listed. */
interface Level {
  readonly fd: number;
  readonly path: string;
  readonly list: Dir;
}

function collectNames(at: AtCalls, root: number, limit: number): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const levels: Level[] = [{ fd: root, path: "", list: listOf(root) }];
  let count = 0;
  try {
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      const name = nextName(level.list);
      if (name === undefined) {
        leave(at, levels.pop(), root);
        continue;
      }
      const status = at.stat(level.fd, name);
      if (typeof status === "number") throw systemError(-status, "statx", name);
      const path = level.path === "" ? name : `${level.path}/${name}`;
      if (isDirectory(status)) {
        const fd = must(at.open(level.fd, name, OPEN_DIRECTORY, 0), "openat", path);
        levels.push({ fd, path, list: listOf(fd) });
      } else if (status.links > 1) {
        if (++count > limit) throw overLimit("names of files that have several", limit);
        const key = keyOf(status);
        const names = found.get(key);
        if (names === undefined) found.set(key, [path]);
        else names.push(path);
      }
    }
  } finally {
    for (const level of levels) leave(at, level, root);
  }
  return found;
}

function leave(at: AtCalls, level: Level | undefined, root: number): void {
  if (level === undefined) return;
  level.list.closeSync();
  if (level.fd !== root) at.close(level.fd);
}

function isDirectory(status: FileStatus): boolean {
  return (status.mode & constants.S_IFMT) === constants.S_IFDIR;
}

function keyOf({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
}
