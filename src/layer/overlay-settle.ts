/**
 * Settles what an unpacked layer in overlay form left open, once the layers below it are known. A directory that the layer only implies
 * would hide the attributes of the one below, which has them from a layer that describes it (containerd's parallel unpack loses
 * them: `tmp/x` without `tmp/` makes `tmp` lose its mode 1777); marks must not stay where there is nothing to hide.
 */
import { constants as system } from "node:os";
import { atCalls, type AtCalls, type FileStatus } from "../sys/at.ts";
import { must, systemError } from "../sys/errno.ts";
import { copyAttributes, resetAttributes } from "./directory-attributes.ts";
import { applyFault } from "./fault.ts";
import type { OpenEnds } from "./layer-target.ts";
import { quoteName } from "./names.ts";
import { OverlayMarks } from "./overlay-marks.ts";
import { OverlayStack } from "./overlay-stack.ts";
import { namesIn } from "./remover.ts";

const { EEXIST, ENOTEMPTY } = system.errno;

export interface SettleOptions {
  /** The layer's directory. */
  readonly directory: string;
  readonly open: OpenEnds;
  /** Directories of the layers below, settled themselves, the nearest first. */
  readonly parents: readonly string[];
  /** As it was unpacked, and as the parents were. */
  readonly userXattr: boolean;
}

/** Of a new upper directory: its root is to be as its parents' root, which it hides. To be settled before it is mounted. */
export const NEW_UPPER: OpenEnds = { implied: [""], replay: undefined };

/**
 * Gives each implied directory the owner, mode, times and attributes of the one that lower layers show, and takes away marks that hide
 * nothing. Done again with the same parents it changes nothing.
 * @returns `replay`, when the layer has to be applied onto its parents instead, and why; its directory is then of no more use
 * @throws NO_SPACE, PERMISSION, FILE_NOT_FOUND
 */
export function settleImplied(options: SettleOptions): { readonly replay?: string } {
  const { open, directory, parents, userXattr } = options;
  if (open.replay !== undefined) return { replay: open.replay };
  if (open.implied.length === 0 && (open.marked ?? []).length === 0) return {};
  try {
    const at = atCalls();
    const marks = new OverlayMarks(at, userXattr);
    using layer = new OverlayStack(at, marks, [directory]);
    using lower = new OverlayStack(at, marks, parents);
    return new Settlement(at, marks, layer, lower).run(open);
  } catch (error) {
    throw applyFault(error, undefined);
  }
}

class Settlement {
  readonly #at: AtCalls;
  readonly #marks: OverlayMarks;
  readonly #layer: OverlayStack;
  readonly #lower: OverlayStack;

  constructor(at: AtCalls, marks: OverlayMarks, layer: OverlayStack, lower: OverlayStack) {
    this.#at = at;
    this.#marks = marks;
    this.#layer = layer;
    this.#lower = lower;
  }

  run({ implied, marked = [] }: OpenEnds): { replay?: string } {
    const unknown: string[] = [];
    for (const path of implied) {
      const below = this.#lower.look(path);
      if (below === "other") return { replay: `lower layers have no directory at ${quoteName(path)}` };
      if (below === "missing") unknown.push(path);
      const fd = this.#fd(path);
      if (fd === undefined) continue;
      if (below === "missing") resetAttributes(this.#at, fd);
      else copyAttributes(this.#at, below[0], fd);
    }
    for (const path of marked) this.#settleMarks(path);
    if (marked.length > 0) for (const path of unknown.toReversed()) this.#prune(path);
    return {};
  }

  #settleMarks(path: string): void {
    const fd = this.#fd(path);
    if (fd === undefined) return;
    const below = this.#lower.look(path);
    this.#keepingTimes(fd, () => {
      if (typeof below === "string") {
        this.#marks.removeWhiteouts(fd);
        this.#marks.unmakeOpaque(fd);
      } else if (path === "" && this.#marks.isOpaque(fd)) {
        for (const directory of below) this.#hideContent(directory, fd);
      }
    });
  }

  /** The kernel minds no mark on a root, so that each name below it is hidden instead. */
  #hideContent(lower: number, root: number): void {
    for (const name of namesIn(lower)) {
      if (this.#marks.isWhiteout(lower, name)) continue;
      const result = this.#marks.makeWhiteout(root, name);
      if (result !== -EEXIST) must(result, "mknodat", name);
    }
  }

  /** A directory that is there for the sake of a deletion only, where lower layers have nothing to delete, is not there. */
  #prune(path: string): void {
    if (path === "") return;
    const slash = path.lastIndexOf("/");
    const parent = this.#fd(path.slice(0, Math.max(slash, 0)));
    if (parent === undefined) return;
    const name = path.slice(slash + 1);
    this.#keepingTimes(parent, () => {
      const result = this.#at.rmdir(parent, name);
      if (result !== -ENOTEMPTY && result !== -EEXIST && result !== -system.errno.ENOENT) must(result, "rmdir", path);
    });
  }

  #keepingTimes(fd: number, run: () => void): void {
    const { accessedAt, modifiedAt } = this.#status(fd);
    run();
    must(this.#at.setTimes(fd, ".", accessedAt, modifiedAt), "utimensat");
  }

  #status(fd: number): FileStatus {
    const status = this.#at.stat(fd, "");
    if (typeof status === "number") throw systemError(-status, "statx");
    return status;
  }

  /** The layer's own directory; undefined when it was pruned before. */
  #fd(path: string): number | undefined {
    const seen = this.#layer.look(path);
    return typeof seen === "string" ? undefined : seen[0];
  }
}
