/**
 * The names of files that have several, while a tree is cloned: each such file has one more name in a directory of its own, by a number,
 * until all its names were met. So any number of them takes a map of numbers only, however deep they lie.
 */
import { AT_FDCWD, OPEN_DIRECTORY, type AtCalls, type FileStatus } from "../../sys/at.ts";
import { must } from "../../sys/errno.ts";

interface Kept {
  readonly number: number;
  /** Names that are still to come, if they are in the tree at all. */
  left: number;
}

export class LinkFarm implements Disposable {
  readonly #at: AtCalls;
  readonly #fd: number;
  readonly #kept = new Map<string, Kept>();
  #next = 0;

  /** @param path an empty directory on the file system of the clone */
  constructor(at: AtCalls, path: string) {
    this.#at = at;
    this.#fd = must(at.open(AT_FDCWD, path, OPEN_DIRECTORY, 0), "openat", path);
  }

  /** @param original what was found @returns false when this is the file's first name, so that there is nothing to link to */
  link(original: FileStatus, directory: number, name: string): boolean {
    const kept = this.#kept.get(identityOf(original));
    if (kept === undefined) return false;
    const number = String(kept.number);
    if (--kept.left > 0) {
      must(this.#at.link(this.#fd, number, directory, name), "linkat", name);
    } else {
      // The last name takes the place of the one here, as a file may have all the names that its file system allows.
      must(this.#at.rename(this.#fd, number, directory, name), "renameat", name);
      this.#kept.delete(identityOf(original));
    }
    return true;
  }

  /** Of a file that was made under its first name. */
  keep(original: FileStatus, directory: number, name: string): void {
    if (original.links < 2) return;
    const kept = { number: this.#next++, left: original.links - 1 };
    must(this.#at.link(directory, name, this.#fd, String(kept.number)), "linkat", name);
    this.#kept.set(identityOf(original), kept);
  }

  [Symbol.dispose](): void {
    this.#at.close(this.#fd);
  }
}

function identityOf({ device, inode }: FileStatus): string {
  return `${device}:${inode}`;
}
