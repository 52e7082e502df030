/**
 * What a stack of directories in overlay form shows at a path, without a mount: as overlayfs looks names up, directories of one name
 * merge from the nearest down, until a whiteout, an opaque directory or something that is no directory ends it.
 */
import { constants as system } from "node:os";
import { constants } from "node:fs";
import { AT_FDCWD, OPEN_DIRECTORY, O_PATH, type AtCalls } from "../sys/at.ts";
import { must, systemError } from "../sys/errno.ts";
import type { OverlayMarks } from "./overlay-marks.ts";

const { ENOENT, ENOTDIR, ELOOP } = system.errno;
/** Descriptors held open below the roots; one more look may pass it by as many as there are layers. */
const MAX_OPEN = 512;

/** Descriptors (`O_PATH`) of the directories that merge, the nearest first; or why there is none. */
export type Seen = readonly [number, ...number[]] | "missing" | "other";

/** A directory on the way to the last path. */
interface Frame {
  readonly name: string;
  readonly seen: Seen;
  /** Its descriptors were closed to make room. */
  closed: boolean;
}

export class OverlayStack implements Disposable {
  readonly #at: AtCalls;
  readonly #marks: OverlayMarks;
  readonly #roots: number[] = [];
  readonly #root: Seen;
  #frames: Frame[] = [];
  #open = 0;

  /** @param roots directories, the nearest first @throws NodeJS.ErrnoException */
  constructor(at: AtCalls, marks: OverlayMarks, roots: readonly string[]) {
    this.#at = at;
    this.#marks = marks;
    try {
      for (const root of roots) {
        this.#roots.push(must(at.open(AT_FDCWD, root, O_PATH | constants.O_DIRECTORY, 0), "open", root));
      }
      const end = this.#roots.findIndex((fd) => marks.isOpaque(fd));
      this.#root = asSeen(end < 0 ? this.#roots : this.#roots.slice(0, end + 1));
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  /**
   * Looks along a path of real names, `""` for the root; no link is followed. The descriptors hold until the next call. Quickest for
   * paths in the order of a tree.
   * @throws NodeJS.ErrnoException
   */
  look(path: string): Seen {
    const names = path === "" ? [] : path.split("/");
    let known = 0;
    while (known < this.#frames.length && this.#frames[known]?.name === names[known]) known++;
    if (this.#frames[known - 1]?.closed === true) known = 0;
    this.#leave(known);
    for (const name of names.slice(known)) this.#enter(name);
    return this.#frames.at(-1)?.seen ?? this.#root;
  }

  [Symbol.dispose](): void {
    this.#leave(0);
    for (const fd of this.#roots) this.#at.close(fd);
  }

  #enter(name: string): void {
    const above = this.#frames.at(-1)?.seen ?? this.#root;
    const seen = typeof above === "string" ? "missing" : this.#lookIn(above, name);
    this.#frames.push({ name, seen, closed: false });
    if (typeof seen === "string") return;
    this.#open += seen.length;
    for (const frame of this.#frames.slice(0, -1)) if (this.#open > MAX_OPEN) this.#close(frame);
  }

  #lookIn(directories: readonly number[], name: string): Seen {
    const found: number[] = [];
    for (const directory of directories) {
      const fd = this.#at.open(directory, name, OPEN_DIRECTORY, 0);
      if (fd === -ENOENT) continue;
      if (fd >= 0) {
        found.push(fd);
        if (!this.#marks.isOpaque(fd)) continue;
      } else if (fd !== -ENOTDIR && fd !== -ELOOP) {
        for (const each of found) this.#at.close(each);
        throw systemError(-fd, "openat", name);
      } else if (found.length === 0) {
        return this.#marks.isWhiteout(directory, name) ? "missing" : "other";
      }
      break;
    }
    return asSeen(found);
  }

  #leave(depth: number): void {
    for (const frame of this.#frames.splice(depth)) this.#close(frame);
  }

  #close(frame: Frame): void {
    if (frame.closed || typeof frame.seen === "string") return;
    frame.closed = true;
    this.#open -= frame.seen.length;
    for (const fd of frame.seen) this.#at.close(fd);
  }
}

function asSeen(fds: readonly number[]): Seen {
  const [first, ...rest] = fds;
  return first === undefined ? "missing" : [first, ...rest];
}
