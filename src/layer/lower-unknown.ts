/**
 * Lower layers that nobody knows yet: what is hidden of them is marked as overlayfs does, and what depends on them is noted. It holds that
 * every name which this layer wrote or hid in a directory is there in the directory, as itself or as a whiteout; so the directory is all
 * the memory that is needed of names.
 *
 * A directory is *covered* when nothing of lower layers is seen in it, because it or one above it is opaque; then all in it is settled.
 */
import { constants as system } from "node:os";
import type { AtCalls } from "../sys/at.ts";
import { must } from "../sys/errno.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryTree } from "./directory-tree.ts";
import type { OpenEnds } from "./layer-target.ts";
import type { Lower } from "./lower.ts";
import { quoteName } from "./names.ts";
import type { OverlayMarks } from "./overlay-marks.ts";
import type { Remover } from "./remover.ts";
import type { LowerTools } from "./tree-parts.ts";

const { EEXIST, ENOENT } = system.errno;

export class LowerUnknown implements Lower {
  readonly #at: AtCalls;
  readonly #tree: DirectoryTree;
  readonly #remover: Remover;
  readonly #marks: OverlayMarks;
  /** Not covered, and without an entry of their own. */
  readonly #implied = new Set<Directory>();
  readonly #opaque = new Set<Directory>();
  /** Directories that hold whiteouts, or once did. */
  readonly #whiteouts = new Set<Directory>();
  #replay: string | undefined;

  constructor({ at, tree, remover }: LowerTools, marks: OverlayMarks) {
    this.#at = at;
    this.#tree = tree;
    this.#remover = remover;
    this.#marks = marks;
  }

  /** Why what comes out of this is of no use; see `OpenEnds`. */
  get replay(): string | undefined {
    return this.#replay;
  }

  /** Whether names may lead elsewhere than they seem to, because a lower layer may have a link where this layer implies a directory. */
  get inDoubt(): boolean {
    return this.#implied.size > (this.#implied.has(this.#tree.root) ? 1 : 0);
  }

  /** Asks for the layer to be applied again, onto its parents. */
  ask(why: string): void {
    this.#replay ??= why;
  }

  /** The root has no entry so far. */
  begin(): void {
    this.#implied.add(this.#tree.root);
  }

  open(): OpenEnds {
    const implied: string[] = [];
    const marked: string[] = [];
    for (const directory of walk(this.#tree.root)) {
      if (this.#implied.has(directory)) implied.push(directory.path);
      if (this.#opaque.has(directory) || this.#whiteouts.has(directory)) marked.push(directory.path);
    }
    return { implied, replay: this.#replay, marked };
  }

  remove(parent: Directory, name: string): boolean {
    const gone = parent.children?.get(name);
    for (const directory of gone === undefined ? [] : walk(gone)) {
      this.#lose(directory, "is replaced");
      this.#opaque.delete(directory);
      this.#whiteouts.delete(directory);
    }
    return this.#remover.remove(parent, name);
  }

  delete(directory: string, name: string): void {
    const parent = this.#reach(directory);
    if (parent === undefined || this.#isCovered(parent)) return;
    const result = this.#marks.makeWhiteout(this.#tree.fd(parent), name);
    if (result === -EEXIST) {
      const found = this.#tree.child(parent, name);
      if (typeof found === "number") return;
      this.#lose(found, "is deleted");
      this.#cover(found);
    } else {
      must(result, "mknodat", name);
      this.#whiteouts.add(parent);
    }
  }

  opaque(directory: string): void {
    const found = this.#reach(directory);
    if (found !== undefined) this.#cover(found);
  }

  imply(parent: Directory, name: string, make: () => Directory): Directory {
    const hidden = this.isHidden(parent, name);
    if (hidden) this.#remover.remove(parent, name);
    const made = make();
    this.made(made, hidden);
    if (!this.#isCovered(made)) this.#implied.add(made);
    return made;
  }

  made(directory: Directory, instead: boolean): void {
    const { parent } = directory;
    if (parent === undefined) return;
    // The mark of the root has no effect, so that each directory in it needs its own.
    const bare = parent === this.#tree.root && this.#opaque.has(parent);
    if (bare || (instead && !this.#isCovered(parent))) this.#makeOpaque(directory);
  }

  described(directory: Directory): void {
    if (directory === this.#tree.root) this.#implied.delete(directory);
    else this.#lose(directory, "is described");
    if (this.#opaque.has(directory)) this.#makeOpaque(directory);
  }

  leftOut(parent: Directory, name: string): void {
    this.madeNothing(parent);
    if (this.#isCovered(parent)) return;
    must(this.#marks.makeWhiteout(this.#tree.fd(parent), name), "mknodat", name);
    this.#whiteouts.add(parent);
  }

  madeNothing(parent: Directory): void {
    // It would look like a directory that is there for the sake of a deletion only, which goes when there is nothing to delete.
    if (parent !== this.#tree.root && this.#implied.has(parent)) this.ask(`nothing could be made in ${quoted(parent)}`);
  }

  source(directory: string, name: string): Directory | "lower" | undefined {
    const place = this.#tree.place(directory);
    if (place === undefined) return undefined;
    const { directory: at, missing } = place;
    const [first = name] = missing;
    const isOpen = !this.#isCovered(at) && (missing.length > 0 ? !this.isHidden(at, first) : this.#isMissing(at, name));
    if (!isOpen) return missing.length > 0 ? undefined : at;
    this.ask(`a hard link to ${quoteName(join(directory, name))}, which is not in the layer`);
    return "lower";
  }

  linked(_parent: Directory, _name: string, link: () => number): number {
    return link();
  }

  isHidden(parent: Directory, name: string): boolean {
    return this.#whiteouts.has(parent) && this.#marks.isWhiteout(this.#tree.fd(parent), name);
  }

  passed(parent: Directory, name: string): void {
    if (this.#isCovered(parent) || this.isHidden(parent, name)) return;
    this.ask(`a link leads through ${quoteName(join(parent.path, name))}, which is not in the layer`);
  }

  /** The directory that a mark is to be put in; undefined when lower layers can have nothing there. */
  #reach(name: string): Directory | undefined {
    const place = this.#tree.place(name);
    const first = place?.missing[0];
    if (place === undefined || first === undefined) return place?.directory;
    if (this.#isCovered(place.directory) || this.isHidden(place.directory, first)) return undefined;
    return this.#tree.make(place);
  }

  #isMissing(parent: Directory, name: string): boolean {
    return this.#at.stat(this.#tree.fd(parent), name) === -ENOENT;
  }

  #isCovered(directory: Directory): boolean {
    for (let at: Directory | undefined = directory; at !== undefined; at = at.parent) {
      if (this.#opaque.has(at)) return true;
    }
    return false;
  }

  #cover(directory: Directory): void {
    if (this.#isCovered(directory)) return;
    for (const child of directory.children?.values() ?? []) {
      for (const below of walk(child)) {
        this.#lose(below, "is hidden");
        this.#unmark(below);
      }
      if (directory === this.#tree.root) this.#makeOpaque(child);
    }
    this.#unmark(directory);
    this.#makeOpaque(directory);
  }

  #makeOpaque(directory: Directory): void {
    this.#marks.makeOpaque(this.#tree.fd(directory));
    this.#opaque.add(directory);
  }

  #unmark(directory: Directory): void {
    if (this.#whiteouts.delete(directory)) this.#marks.removeWhiteouts(this.#tree.fd(directory));
    if (this.#opaque.delete(directory)) this.#marks.unmakeOpaque(this.#tree.fd(directory));
  }

  /** What we noted of a directory no longer holds. If a lower layer has a link there, what went into it went elsewhere. */
  #lose(directory: Directory, how: string): void {
    if (this.#implied.delete(directory)) this.ask(`the directory ${quoted(directory)} is implied, then ${how}`);
  }
}

/** Parents before children. As deep as `ApplyLimits.depth`. */
function* walk(directory: Directory): Generator<Directory> {
  yield directory;
  for (const child of directory.children?.values() ?? []) yield* walk(child);
}

function join(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

function quoted(directory: Directory): string {
  return quoteName(directory.path);
}
