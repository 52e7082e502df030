/** Compares a directory in overlay form with the tree in memory that it must be. */
import type { IndexNode } from "../codec/erofs/tree.ts";
import { OPEN_DIRECTORY, type AtCalls, type FileStatus } from "../sys/at.ts";
import { must } from "../sys/errno.ts";
import { pause, type FileContents } from "./file-contents.ts";
import { nodeDifference, nodeOnDisk } from "./index-on-disk.ts";
import { isDirectory, isOpaque, isWhiteout as isWhiteoutNode, type IndexDirectoryNode } from "./index-tree.ts";
import { isWhiteout, type OverlayMarks } from "./overlay-marks.ts";
import { namesIn } from "./remover.ts";
import type { DifferenceList } from "./tree-differences.ts";

/** Names looked at before others have their turn. */
const TURN = 256;

export interface ComparisonParts {
  readonly at: AtCalls;
  readonly marks: OverlayMarks;
  readonly contents: FileContents;
  readonly list: DifferenceList;
  /** Whether what only root of the machine can set may be missing. */
  readonly restricted: boolean;
  readonly signal: AbortSignal;
}

export class TreeComparison {
  readonly #parts: ComparisonParts;
  /** Of files of several names: the inode that the first of them has, and whose it is. */
  readonly #inodes = new Map<IndexNode, bigint>();
  readonly #nodes = new Map<bigint, IndexNode>();
  #looked = 0;

  constructor(parts: ComparisonParts) {
    this.#parts = parts;
  }

  /** As deep as `ApplyLimits.depth`. @throws NodeJS.ErrnoException, the signal's reason */
  async directory(node: IndexDirectoryNode, fd: number, path: string): Promise<void> {
    const { at, marks, list, restricted, signal } = this.#parts;
    const what = nodeDifference(node, nodeOnDisk(at, fd, ""), restricted);
    if (what !== undefined) list.changed(path, what);
    // The mark of a root is without effect.
    if (path !== "" && marks.isOpaque(fd) !== isOpaque(node)) {
      list.changed(path, `${isOpaque(node) ? "shows" : "hides"} what lower layers have in it`);
    }
    const names = new Set(namesIn(fd));
    for (const [name, child] of node.children) {
      if (++this.#looked % TURN === 0) await pause(signal);
      names.delete(name);
      await this.#member(child, fd, name, path === "" ? name : `${path}/${name}`);
    }
    for (const name of names) list.extra(path === "" ? name : `${path}/${name}`);
  }

  async #member(node: IndexNode, fd: number, name: string, path: string): Promise<void> {
    const { at, list } = this.#parts;
    const status = at.stat(fd, name);
    const found = typeof status === "number" || isWhiteout(status) ? undefined : status;
    if (isWhiteoutNode(node)) {
      if (typeof status === "number") list.missing(`${path.slice(0, -name.length)}.wh.${name}`);
      else if (found !== undefined) list.changed(path, "is not deleted");
    } else if (found === undefined) {
      if (!this.#mayLack(node)) list.missing(path);
    } else if (isDirectory(node)) {
      await this.#subdirectory(node, fd, name, path);
    } else if (this.#isNewName(node, found, path)) {
      await this.#inode(node, fd, name, path);
    }
  }

  async #subdirectory(node: IndexDirectoryNode, fd: number, name: string, path: string): Promise<void> {
    const { at, list } = this.#parts;
    const child = at.open(fd, name, OPEN_DIRECTORY, 0);
    if (child < 0) return list.changed(path, "no directory");
    try {
      await this.directory(node, child, path);
    } finally {
      must(at.close(child), "close");
    }
  }

  async #inode(node: IndexNode, fd: number, name: string, path: string): Promise<void> {
    const { at, list, contents, restricted, signal } = this.#parts;
    const what = nodeDifference(node, nodeOnDisk(at, fd, name), restricted);
    if (what !== undefined) list.changed(path, what);
    else if (node.type === "file" && node.size > 0 && !(await contents.isIn(at, fd, name, node, signal))) {
      list.changed(path, "other content");
    }
  }

  /** False where the file is known by another name already; whether it should be is seen to. */
  #isNewName(node: IndexNode, { inode, links }: FileStatus, path: string): boolean {
    const first = this.#inodes.get(node);
    const owner = this.#nodes.get(inode);
    if (first !== undefined && first !== inode) this.#parts.list.changed(path, "is a file of its own");
    else if (owner !== undefined && owner !== node) this.#parts.list.changed(path, "is one file with another name");
    if (first !== undefined || owner !== undefined) return false;
    this.#inodes.set(node, inode);
    if (links > 1) this.#nodes.set(inode, node);
    return true;
  }

  /** A device that could not be made leaves a deletion, or nothing. */
  #mayLack({ type }: IndexNode): boolean {
    return this.#parts.restricted && (type === "char" || type === "block");
  }
}
