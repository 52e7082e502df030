/** What is known of one real directory of the tree while a layer is applied. */
import type { FileTime } from "../sys/at.ts";
import { ownName } from "./names.ts";

/** What a directory gets when the layer ends, because content written into it meanwhile would undo it or need it undone. */
export interface Finish {
  accessedAt: FileTime;
  modifiedAt: FileTime;
  /** Only a mode that would keep its owner from filling the directory waits until the end. */
  mode?: number;
  /** A default ACL waits too, or files to come would inherit from it. */
  defaultAcl?: Uint8Array;
}

/**
 * Lives from its first use to the end of the layer or until the directory is removed; identified by its place among the real
 * directories, so two names that lead here through links are one node. Its descriptor may be closed meanwhile and opened again.
 */
export class Directory {
  readonly parent: Directory | undefined;
  readonly name: string;
  readonly depth: number;
  /** Made by the layer at hand, or inside such a directory: all content is this layer's, nothing needs to be remembered. */
  readonly fresh: boolean;
  /** -1 while closed. */
  fd = -1;
  /** Looked at since this node was made; a closed directory is not looked at again. */
  known = false;
  children: Map<string, Directory> | undefined;
  /** Names this layer wrote in here. Stays undefined in a fresh directory. */
  written: Set<string> | undefined;
  /** This layer wrote something below, at any depth. */
  through = false;
  /** Kept its times from before this layer, or has an entry of its own. */
  finish: Finish | undefined;
  /** New members get their group or ACL from here: `S_ISGID` or a default ACL. */
  inherits = false;
  hasDefaultAcl = false;
  /** Times when it was opened first in this layer. */
  times: Readonly<Pick<Finish, "accessedAt" | "modifiedAt">> | undefined;
  /** Who owns what is made here, learnt from the first file; -1 when not known yet. */
  newUid = -1;
  newGid = -1;

  constructor(parent: Directory | undefined, name: string, fresh: boolean) {
    this.parent = parent;
    this.name = ownName(name);
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.fresh = fresh;
  }

  /** Notes that the layer at hand wrote `name` in here. @returns how much more has to be remembered, 0 or 1 */
  remember(name: string): number {
    if (this.fresh) return 0;
    this.through = true;
    for (let at = this.parent; at !== undefined && !at.through; at = at.parent) at.through = true;
    this.written ??= new Set();
    const before = this.written.size;
    this.written.add(ownName(name));
    return this.written.size - before;
  }

  /**
   * Must be called before a member is made or removed in here: a directory of lower layers that has no entry of its own keeps
   * its times, as in an overlay and as umoci does.
   */
  keepTimes(): void {
    if (this.finish === undefined && this.times !== undefined) this.finish = { ...this.times };
  }

  /** For messages. */
  get path(): string {
    if (this.parent === undefined) return "";
    const names = [this.name];
    for (let at = this.parent; at.parent !== undefined; at = at.parent) names.push(at.name);
    return names.toReversed().join("/");
  }
}
