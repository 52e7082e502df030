/**
 * Finds the directory of a tree in memory that a name leads to: the counterpart of directory-tree.ts, with the same answers, down to what
 * is remembered of the last name. Of a layer alone, what is missing may be there in lower layers; where that could lead elsewhere, the
 * name is undecided.
 */
import { VarveError } from "../errors/varve-error.ts";
import { nameLength } from "../sys/path-bytes.ts";
import { IndexDirectory, Undecided } from "./index-directory.ts";
import { isDirectory, isWhiteout, type IndexDirectoryNode } from "./index-tree.ts";
import { overLimit, type ApplyLimits } from "./limits.ts";
import { cleanName, quoteName } from "./names.ts";

/** As in the kernel. */
const MAX_LINKS = 40;
const MAX_NAME_BYTES = 255;

export interface IndexPathsOptions {
  readonly limits: Required<ApplyLimits>;
  /** Lower layers are not known. */
  readonly alone: boolean;
  /** Makes a directory that a name takes for granted. */
  readonly makeImplied: (parent: IndexDirectory, name: string) => IndexDirectory;
}

/** What to do about directories that are missing: make them, or nothing, or (of a layer alone) put a place for whiteouts there. */
type Missing = "make" | "leave" | "hide";
const MISSING = Symbol("missing");

export class IndexPaths {
  readonly root: IndexDirectory;
  readonly #options: IndexPathsOptions;
  #remembered = 0;
  #lastName: string | undefined;
  #last: IndexDirectory | undefined;

  constructor(root: IndexDirectory, options: IndexPathsOptions) {
    this.root = root;
    this.#options = options;
  }

  /** The directory `name` leads to; missing ones on the way are made. @throws LAYER_INVALID, LAYER_LIMIT, Undecided */
  reach(name: string): IndexDirectory {
    if (name === this.#lastName && this.#last !== undefined) return this.#last;
    const found = this.#walk(name, "make");
    if (found === undefined) throw new VarveError("INTERNAL", "a directory was not made");
    this.#lastName = name;
    this.#last = found;
    return found;
  }

  /** The directory `name` leads to, or undefined when there is none. @throws LAYER_INVALID, LAYER_LIMIT, Undecided */
  find(name: string): IndexDirectory | undefined {
    return name === this.#lastName && this.#last !== undefined ? this.#last : this.#walk(name, "leave");
  }

  /** The same, to hide something in it: undefined only when lower layers have nothing there either. */
  findToHide(name: string): IndexDirectory | undefined {
    if (name === this.#lastName && this.#last !== undefined) return this.#last;
    return this.#walk(name, this.#options.alone ? "hide" : "leave");
  }

  /** The directory that stands at the name, or undefined for anything else. @throws LAYER_LIMIT */
  child(parent: IndexDirectory, name: string): IndexDirectory | undefined {
    const known = parent.directories?.get(name);
    if (known !== undefined) return known;
    const node = parent.node.children.get(name);
    return isDirectory(node) ? this.adopt(parent, name, node, parent.fresh) : undefined;
  }

  /** Knows the node, which is or will be at the name, from now on. */
  adopt(parent: IndexDirectory, name: string, node: IndexDirectoryNode, fresh: boolean): IndexDirectory {
    const { depth } = this.#options.limits;
    if (parent.depth >= depth) throw this.fault(overLimit("directories in one path", depth));
    this.#count(1);
    const child = new IndexDirectory(parent, name, node, fresh);
    (parent.directories ??= new Map()).set(name, child);
    return child;
  }

  /** Must be called before or after whatever stands at the name is removed or replaced. */
  forget(parent: IndexDirectory, name: string): void {
    this.#lastName = undefined;
    parent.directories?.delete(name);
  }

  /** Notes that the layer wrote `name` into `directory`. @throws LAYER_LIMIT */
  remember(directory: IndexDirectory, name: string): void {
    this.#count(directory.remember(name));
  }

  /** @throws LAYER_INVALID (a layer alone: Undecided) for a name that no file can have */
  checkName(name: string): void {
    // UTF-8 has at most three bytes for each UTF-16 unit.
    if (name.length * 3 > MAX_NAME_BYTES && nameLength(name) > MAX_NAME_BYTES) {
      throw this.fault(new VarveError("LAYER_INVALID", `the name ${quoteName(name)} has more than 255 bytes`));
    }
  }

  /** What to throw for a fault that depends on where names lead: a layer alone cannot be sure of it. */
  fault(error: VarveError): Error {
    return this.#options.alone ? new Undecided(error.message) : error;
  }

  /** As `DirectoryTree`: components that are not there cancel out with the `..` that follow them; only the rest is made. */
  #walk(name: string, ifMissing: Missing): IndexDirectory | undefined {
    const pending = cleanName(name).toReversed();
    const missing: string[] = [];
    let at = this.root;
    let links = 0;
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      if (next === "" || next === ".") continue;
      if (next === "..") {
        if (missing.pop() === undefined) at = at.parent ?? at;
        else if (this.#isOpen(at)) throw new Undecided(`${quoteName(name)} leads through what lower layers may have`);
        continue;
      }
      if (missing.length > 0) {
        missing.push(next);
        continue;
      }
      const child = this.child(at, next);
      if (child !== undefined) {
        at = child;
        continue;
      }
      const target = this.#linkAt(at, next);
      if (target === MISSING) {
        missing.push(next);
      } else if (target === undefined) {
        if (ifMissing === "make") throw this.fault(notDirectory(at, next));
        return undefined;
      } else {
        if (++links > MAX_LINKS) throw this.fault(tooManyLinks(name));
        if (target.startsWith("/")) at = this.root;
        pending.push(...target.split("/").toReversed());
      }
    }
    return missing.length === 0 ? at : this.#absent(at, missing, ifMissing, name);
  }

  /** The target of the symbolic link at the name, or undefined for what is neither a link nor a directory. */
  #linkAt(at: IndexDirectory, name: string): string | typeof MISSING | undefined {
    const node = at.node.children.get(name);
    if (node === undefined) {
      this.checkName(name);
      return MISSING;
    }
    if (node.type === "symlink") return node.target;
    return this.#options.alone && isWhiteout(node) ? MISSING : undefined;
  }

  #absent(at: IndexDirectory, missing: string[], ifMissing: Missing, name: string): IndexDirectory | undefined {
    const [first = ""] = missing;
    const certain = !this.#isOpen(at) || at.node.children.has(first);
    if (ifMissing !== "make" && certain) return undefined;
    if (ifMissing === "leave") throw new Undecided(`${quoteName(name)} is not in the layer`);
    let end = at;
    for (const next of missing) {
      this.checkName(next);
      end = this.#options.makeImplied(end, next);
    }
    return end;
  }

  /** Whether lower layers may have more in the directory than is known. */
  #isOpen(directory: IndexDirectory): boolean {
    return this.#options.alone && !directory.fresh;
  }

  #count(more: number): void {
    this.#remembered += more;
    const limit = this.#options.limits.remembered;
    if (this.#remembered > limit) throw overLimit("directories and names to remember", limit);
  }
}

function notDirectory(parent: IndexDirectory, name: string): VarveError {
  const path = quoteName(parent.parent === undefined ? name : `${parent.path}/${name}`);
  return new VarveError("LAYER_INVALID", `a member lies under ${path}, which is not a directory`);
}

function tooManyLinks(name: string): VarveError {
  return new VarveError("LAYER_INVALID", `${quoteName(name)} leads through more than ${MAX_LINKS} symbolic links`);
}
