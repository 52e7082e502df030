/**
 * Puts members into a tree in memory: the counterpart of members.ts. Of a layer alone, `Undecided` is thrown where what would happen
 * depends on what lower layers have.
 */
import type { IndexNode } from "../codec/erofs/tree.ts";
import type { TarEntry } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import { nameLength } from "../sys/path-bytes.ts";
import { type IndexDirectory, Undecided } from "./index-directory.ts";
import { canOwn, type IndexNodes } from "./index-nodes.ts";
import type { IndexPaths } from "./index-paths.ts";
import { impliedNode, isDirectory, isWhiteout, whiteoutNode } from "./index-tree.ts";
import { quoteName, splitName } from "./names.ts";
import type { Tally } from "./report.ts";

const MAX_MAJOR = 0xfff;
const MAX_MINOR = 0xfffff;
const MAX_DEVICE = 0xffffffff;
const MAX_LEFT_OUT = 10_000;
const MAX_TARGET_BYTES = 4095;

export interface IndexWorkshop {
  readonly alone: boolean;
  readonly paths: IndexPaths;
  readonly nodes: IndexNodes;
  readonly tally: Tally;
}

export class IndexMembers {
  readonly #alone: boolean;
  readonly #paths: IndexPaths;
  readonly #nodes: IndexNodes;
  readonly #tally: Tally;
  /** Paths of devices that were left out, so that hard links to them are left out too. */
  readonly #leftOut = new Set<string>();

  constructor(workshop: IndexWorkshop) {
    this.#alone = workshop.alone;
    this.#paths = workshop.paths;
    this.#nodes = workshop.nodes;
    this.#tally = workshop.tally;
  }

  /**
   * Any member but a directory and a hard link.
   * @param parent undefined when it is only to be checked
   * @returns undefined for a device that is left out
   */
  plain(parent: IndexDirectory | undefined, base: string, entry: TarEntry): IndexNode | undefined {
    const { type } = entry;
    if (type === "symlink") checkTarget(entry);
    const leftOut = type === "char" || type === "block" ? whyLeftOut(entry) : undefined;
    if (leftOut !== undefined) return this.#leaveOut(parent, base, entry, leftOut);
    this.#checkOwner(parent, entry);
    const node = this.#nodes.make(entry, type === "link" || type === "directory" ? "file" : type, parent?.node);
    if (type === "symlink") node.target = entry.linkName;
    if (type === "char" || type === "block") {
      node.deviceMajor = entry.deviceMajor;
      node.deviceMinor = entry.deviceMinor;
    }
    if (parent !== undefined) this.#put(parent, base, node);
    return node;
  }

  directory(parent: IndexDirectory | undefined, base: string, entry: TarEntry): void {
    const found = parent === undefined ? undefined : this.#paths.child(parent, base);
    if (found !== undefined) return this.describe(found, entry);
    this.#checkOwner(parent, entry);
    const node = this.#nodes.directory(entry, parent?.node);
    if (parent === undefined) return;
    // What this layer had there, or a whiteout, has hidden what lower layers have.
    const fresh = !this.#alone || parent.fresh || parent.node.children.has(base);
    if (!fresh) checkNewOwner(entry);
    this.#put(parent, base, node);
    const made = this.#paths.adopt(parent, base, node, fresh);
    made.opaque = fresh && !parent.fresh;
  }

  /** A found directory, or the root, takes the entry's attributes and keeps its content. */
  describe(directory: IndexDirectory, entry: TarEntry): void {
    if (directory.implied) this.#explain(directory);
    if (this.#alone && !directory.fresh) checkNewOwner(entry);
    this.#nodes.describe(directory.node, entry);
  }

  /** A parent that the archive does not describe. */
  implied(parent: IndexDirectory, name: string): IndexDirectory {
    const node = impliedNode();
    if (!this.#alone) {
      this.#paths.remember(parent, name);
      parent.node.children.set(name, node);
      return this.#paths.adopt(parent, name, node, true);
    }
    const hidden = parent.node.children.has(name);
    const fresh = parent.fresh || hidden;
    parent.node.children.set(name, node);
    const made = this.#paths.adopt(parent, name, node, fresh);
    made.implied = !fresh;
    made.opaque = fresh && !parent.fresh;
    return made;
  }

  /** A further name for a file, whose own name is not followed when it is a link. */
  link(parent: IndexDirectory, base: string, entry: TarEntry): void {
    const [parentName, target] = splitName(entry.linkName);
    const from = target === undefined ? undefined : this.#paths.find(parentName);
    if (target === undefined || from === undefined) throw this.#paths.fault(noTarget(entry));
    const node = this.#nodeAt(from, target);
    if (from === parent && target === base) {
      if (node === undefined && this.#alone) throw this.#paths.fault(noTarget(entry));
      return;
    }
    this.#paths.checkName(base);
    const existing = this.#nodeAt(parent, base);
    if (node === undefined || (existing !== node && isWithin(from, parent.directories?.get(base)))) {
      if (!this.#leftOut.has(`${from.path}/${target}`)) throw this.#paths.fault(noTarget(entry));
      this.#leaveOut(parent, base, entry, "its target is");
      return;
    }
    if (isDirectory(node)) throw this.#paths.fault(noTarget(entry));
    if (existing !== node) this.#put(parent, base, node);
    this.#nodes.linked(node, entry);
  }

  /** Removes whatever stands at the name. */
  remove(parent: IndexDirectory, name: string): void {
    const gone = parent.directories?.get(name);
    if (this.#alone && gone !== undefined) this.#checkRemoval(gone);
    this.#paths.forget(parent, name);
    parent.node.children.delete(name);
  }

  /** Content went into directories that lower layers may have as links: where it went is not known, nor that it is gone. */
  #checkRemoval(gone: IndexDirectory): void {
    for (const directory of [gone, ...gone.below((next) => next.implied || !next.fresh)]) {
      if (directory.implied) throw new Undecided(`${quoteName(directory.path)} is implied and then replaced`);
    }
  }

  #put(parent: IndexDirectory, base: string, node: IndexNode): void {
    this.#paths.checkName(base);
    if (parent.node.children.has(base)) this.remove(parent, base);
    parent.node.children.set(base, node);
  }

  /** What stands at the name; a whiteout of this layer is nothing. */
  #nodeAt(directory: IndexDirectory, name: string): IndexNode | undefined {
    const node = directory.node.children.get(name);
    return node !== undefined && this.#alone && isWhiteout(node) ? undefined : node;
  }

  /** An implied directory gets its entry after all: too late to know where its content went. The root is always itself. */
  #explain(directory: IndexDirectory): void {
    if (directory.parent !== undefined) throw new Undecided(`${quoteName(directory.path)} is implied before its entry`);
    directory.implied = false;
  }

  /** Who owns what cannot be given to its owner depends on the directory, if that is set-gid. */
  #checkOwner(parent: IndexDirectory | undefined, entry: TarEntry): void {
    if (parent?.implied === true && !canOwn(entry))
      throw new Undecided(`${quoteName(entry.name)} can have no such owner`);
  }

  #leaveOut(parent: IndexDirectory | undefined, base: string, entry: TarEntry, why: string): undefined {
    this.#tally.skip("devices", () => `${quoteName(entry.name)} left out: ${why} not made`);
    if (parent === undefined) return;
    this.#paths.checkName(base);
    if (parent.implied) throw new Undecided(`${quoteName(entry.name)} is left out of an implied directory`);
    this.remove(parent, base);
    if (this.#alone && !parent.fresh) {
      parent.node.children.set(base, whiteoutNode());
      parent.whiteouts = true;
    }
    if (this.#leftOut.size < MAX_LEFT_OUT) this.#leftOut.add(`${parent.path}/${base}`);
  }
}

/** A directory that cannot be given to its owner keeps the one that it has in lower layers. */
function checkNewOwner(entry: TarEntry): void {
  if (!canOwn(entry)) throw new Undecided(`${quoteName(entry.name)} can have no such owner`);
}

function checkTarget(entry: TarEntry): void {
  if (entry.linkName === "") {
    throw new VarveError("LAYER_INVALID", `symbolic link without a target: ${quoteName(entry.name)}`);
  }
  if (entry.linkName.length * 3 > MAX_TARGET_BYTES && nameLength(entry.linkName) > MAX_TARGET_BYTES) {
    throw new VarveError("LAYER_INVALID", `the target of ${quoteName(entry.name)} has more than 4095 bytes`);
  }
}

/** Why a device is not made; undefined when it is. @throws LAYER_INVALID */
function whyLeftOut({ type, deviceMajor: major, deviceMinor: minor, name }: TarEntry): string | undefined {
  if (!(isDevice(major) && isDevice(minor))) {
    throw new VarveError("LAYER_INVALID", `device number ${major}:${minor} of ${quoteName(name)}`);
  }
  if (type === "char" && major === 0 && minor === 0) return "overlay whiteouts are";
  return major > MAX_MAJOR || minor > MAX_MINOR ? `numbers as high as ${major}:${minor} are` : undefined;
}

function isDevice(number: number): boolean {
  return Number.isSafeInteger(number) && number >= 0 && number <= MAX_DEVICE;
}

function isWithin(directory: IndexDirectory, other: IndexDirectory | undefined): boolean {
  for (let at: IndexDirectory | undefined = directory; at !== undefined; at = at.parent) if (at === other) return true;
  return false;
}

function noTarget(entry: TarEntry): VarveError {
  const [name, target] = [quoteName(entry.name), quoteName(entry.linkName)];
  return new VarveError("LAYER_INVALID", `the hard link ${name} has no file to link to: ${target}`);
}
