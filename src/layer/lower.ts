/**
 * How the members of a layer meet what lower layers have: those lie in the same tree, in which what is hidden is removed
 * (lower-in-place.ts), or they are not known yet, and what is hidden is marked in an overlay's way (lower-unknown.ts).
 */
import type { Directory } from "./directory.ts";

export interface Lower {
  /** Takes away whatever the tree has at the name. @returns false when it has nothing */
  remove(parent: Directory, name: string): boolean;
  /** Hides what lower layers have at `name` in the directory that `directory` leads to; what this layer wrote there stays. */
  delete(directory: string, name: string): void;
  /** Hides all that lower layers have in the directory that `directory` leads to. */
  opaque(directory: string): void;
  /** A directory that no entry describes is to be made by `make`. */
  imply(parent: Directory, name: string, make: () => Directory): Directory;
  /** A directory was made; `instead` says that it took the place of something. */
  made(directory: Directory, instead: boolean): void;
  /** A directory that was there before has got the attributes of an entry. */
  described(directory: Directory): void;
  /** Nothing is made of a member whose place `remove` has cleared. */
  leftOut(parent: Directory, name: string): void;
  /** The directory was looked for, and made if it was missing, for a member that changes nothing in it. */
  madeNothing(parent: Directory): void;
  /**
   * The directory in which the target of a hard link is to be looked for; undefined where there is none; `"lower"` when only lower layers
   * can tell.
   */
  source(directory: string, name: string): Directory | "lower" | undefined;
  /** Carries out `link`, which gives one more name, or other attributes, to the file that has the given name. */
  linked(parent: Directory, name: string, link: () => number): number;
  /** Whether what the tree has at the name is but a mark: a missing thing of which we know that lower layers do not count. */
  isHidden(parent: Directory, name: string): boolean;
  /** A link's target led through `name`, which is not there, and out of it again by `..`. */
  passed(parent: Directory, name: string): void;
}
