/** What is known of one directory while a layer is applied to a tree in memory: the counterpart of directory.ts, without descriptors. */
import { type IndexDirectoryNode } from "./index-tree.ts";

/** Thrown where a layer by itself does not tell what applying it would do: it has to be applied again, onto the layers below. */
export class Undecided extends Error {}

/**
 * Lives from its first use to the end of the layer or until the directory is removed; there is one for a real directory, whatever names
 * lead to it. Of a layer alone, what lower layers may have in it is open until it is `fresh`.
 */
export class IndexDirectory {
  readonly parent: IndexDirectory | undefined;
  readonly name: string;
  readonly depth: number;
  readonly node: IndexDirectoryNode;
  /** Nothing of lower layers is in it, nor can be. */
  fresh: boolean;
  directories: Map<string, IndexDirectory> | undefined;
  /** Names this layer wrote in here. Stays undefined in a fresh directory. */
  written: Set<string> | undefined;
  /** This layer wrote something below, at any depth. */
  through = false;
  /** Whiteouts have taken away all that lower layers had in it. */
  emptied = false;
  /** Of a layer alone: has no entry, so that its attributes are those of the lower one, if there is one. */
  implied = false;
  /** Of a layer alone: hides what lower layers have in it. */
  opaque = false;
  /** Of a layer alone: holds whiteouts. */
  whiteouts = false;

  constructor(parent: IndexDirectory | undefined, name: string, node: IndexDirectoryNode, fresh: boolean) {
    this.parent = parent;
    this.name = name;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
    this.node = node;
    this.fresh = fresh;
  }

  /** As `Directory.remember`. */
  remember(name: string): number {
    if (this.fresh) return 0;
    this.through = true;
    for (let at = this.parent; at !== undefined && !at.through; at = at.parent) at.through = true;
    this.written ??= new Set();
    const before = this.written.size;
    this.written.add(name);
    return this.written.size - before;
  }

  get path(): string {
    if (this.parent === undefined) return "";
    const names = [this.name];
    for (let at = this.parent; at.parent !== undefined; at = at.parent) names.push(at.name);
    return names.toReversed().join("/");
  }

  /** Those below it, each before what is below that. Where `into` says no, what is below is passed over. */
  *below(into: (directory: IndexDirectory) => boolean = () => true): Generator<IndexDirectory> {
    const pending: IndexDirectory[] = [...(this.directories?.values() ?? [])].toReversed();
    for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
      yield next;
      if (!into(next) || next.directories === undefined) continue;
      for (const child of [...next.directories.values()].toReversed()) pending.push(child);
    }
  }
}
