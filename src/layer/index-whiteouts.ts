/** Hiding what lower layers have, in trees in memory: the counterpart of remover.ts, and what of a layer alone takes its place. */
import { type IndexDirectory, Undecided } from "./index-directory.ts";
import type { IndexMembers } from "./index-members.ts";
import type { IndexNodes } from "./index-nodes.ts";
import type { IndexPaths } from "./index-paths.ts";
import { whiteoutNode } from "./index-tree.ts";
import { quoteName } from "./names.ts";

export interface Hiding {
  /** Hides what lower layers have at the name: what this layer wrote there, before or after, stays. */
  hide(parent: IndexDirectory, name: string): void;
  /** Hides what lower layers have in the directory. */
  hideContent(directory: IndexDirectory): void;
}

/** The lower layers' content is in the tree and goes. Whoever changes this must read remover.ts first: every line has its like there. */
export class Removal implements Hiding {
  readonly #paths: IndexPaths;
  readonly #members: IndexMembers;
  readonly #nodes: IndexNodes;

  constructor(paths: IndexPaths, members: IndexMembers, nodes: IndexNodes) {
    this.#paths = paths;
    this.#members = members;
    this.#nodes = nodes;
  }

  hide(parent: IndexDirectory, name: string): void {
    if (parent.fresh) return;
    const child = parent.directories?.get(name);
    const written = parent.written?.has(name) === true;
    if (child === undefined || (!written && !child.through)) {
      if (written) return;
      this.#paths.checkName(name);
      this.#members.remove(parent, name);
      return;
    }
    this.hideContent(child);
    if (!written) this.#nodes.resetToImplied(child.node);
  }

  hideContent(directory: IndexDirectory): void {
    // Unlike in a directory on disk, whoever repeats a whiteout makes nothing be looked through again.
    if (directory.fresh || directory.emptied) return;
    directory.emptied = true;
    for (const name of directory.node.children.keys()) {
      if (directory.written?.has(name) === true || directory.directories?.get(name)?.through === true) continue;
      this.#members.remove(directory, name);
    }
    for (const child of directory.directories?.values() ?? []) this.hide(directory, child.name);
  }
}

/** The lower layers are not known: overlayfs' marks say what of theirs is hidden, wherever in the layer the whiteout stands. */
export class Marking implements Hiding {
  readonly #paths: IndexPaths;

  constructor(paths: IndexPaths) {
    this.#paths = paths;
  }

  hide(parent: IndexDirectory, name: string): void {
    const child = parent.directories?.get(name);
    if (child !== undefined) {
      if (child.implied) throw new Undecided(`${quoteName(child.path)} is implied and then hidden`);
      return this.hideContent(child);
    }
    if (parent.fresh || parent.node.children.has(name)) return;
    this.#paths.checkName(name);
    parent.node.children.set(name, whiteoutNode());
    parent.whiteouts = true;
  }

  hideContent(directory: IndexDirectory): void {
    if (directory.fresh) return;
    const inside = [...directory.below((next) => next.implied || !next.fresh)];
    const implied = inside.find((next) => next.implied);
    if (implied !== undefined) throw new Undecided(`${quoteName(implied.path)} is implied and then hidden`);
    for (const next of inside) next.fresh = true;
    directory.fresh = true;
    directory.opaque = true;
  }
}
