/**
 * The members of a layer, one after the other, into a tree. What lower layers have to do with it is a `Lower`'s concern. Synchronous, for
 * the parser calls it so and a system call costs less than a promise.
 */
import type { TarEntry, TarHandler } from "../codec/tar/entry.ts";
import type { AtCalls } from "../sys/at.ts";
import type { Directory } from "./directory.ts";
import type { DirectoryTree } from "./directory-tree.ts";
import { applyFault } from "./fault.ts";
import { overLimit, type ApplyLimits } from "./limits.ts";
import type { Lower } from "./lower.ts";
import { meaningOf, type Meaning } from "./meaning.ts";
import type { Members } from "./members.ts";
import type { Metadata } from "./metadata.ts";
import { Payload } from "./payload.ts";
import type { Tally } from "./report.ts";

export interface TreeWriterParts {
  readonly at: AtCalls;
  readonly limits: Required<ApplyLimits>;
  readonly tally: Tally;
  readonly tree: DirectoryTree;
  readonly metadata: Metadata;
  readonly members: Members;
  readonly lower: Lower;
}

export class TreeWriter implements TarHandler, Disposable {
  readonly #parts: TreeWriterParts;
  readonly #tally: Tally;
  readonly #tree: DirectoryTree;
  readonly #members: Members;
  #payload: Payload | undefined;
  #stored = 0;

  constructor(parts: TreeWriterParts) {
    this.#parts = parts;
    this.#tally = parts.tally;
    this.#tree = parts.tree;
    this.#members = parts.members;
  }

  /** Whether a member's payload is still to come. */
  get inMember(): boolean {
    return this.#payload !== undefined;
  }

  entry(entry: TarEntry): void {
    this.apply(entry, this.count(entry));
  }

  /** Carries out what `count` has understood. */
  apply(entry: TarEntry, meaning: Meaning): void {
    try {
      this.#tree.trim();
      this.#apply(entry, meaning);
    } catch (error) {
      throw applyFault(error, entry.name);
    }
  }

  /** Counts and understands a member, and no more. @throws LAYER_LIMIT, LAYER_INVALID */
  count(entry: TarEntry): Meaning {
    const { limits } = this.#parts;
    if (++this.#tally.entries > limits.entries) throw overLimit("members", limits.entries);
    this.#stored += entry.storedSize;
    if (this.#stored > limits.bytes) throw overLimit("bytes", limits.bytes);
    const meaning = meaningOf(entry);
    this.#tally.member(entry, meaning);
    return meaning;
  }

  data(bytes: Uint8Array): void {
    const payload = this.#payload;
    if (payload === undefined) return;
    try {
      payload.write(bytes);
    } catch (error) {
      throw applyFault(error, payload.entry.name);
    }
  }

  endEntry(): void {
    const payload = this.#payload;
    if (payload === undefined) return;
    const { fd, entry, parent, base } = payload;
    try {
      payload.complete();
      this.#parts.metadata.file(fd, parent, this.#tree.fd(parent), base, entry);
      this.#payload = undefined;
      payload.close();
    } catch (error) {
      throw applyFault(error, entry.name);
    }
  }

  /** Gives directories the times and modes that had to wait for their content. */
  finish(): void {
    this.#finish(this.#tree.root);
  }

  [Symbol.dispose](): void {
    this.#payload?.[Symbol.dispose]();
    this.#payload = undefined;
    this.#tree[Symbol.dispose]();
  }

  #apply(entry: TarEntry, meaning: Meaning): void {
    const { lower } = this.#parts;
    switch (meaning.kind) {
      case "root":
        if (entry.type === "directory") this.#members.root(entry);
        break;
      case "member":
        this.#make(this.#tree.reach(meaning.directory), meaning.name, entry);
        break;
      case "delete":
        lower.delete(meaning.directory, meaning.name);
        break;
      case "opaque":
        lower.opaque(meaning.directory);
        break;
      case "reserved":
        break;
    }
  }

  #make(parent: Directory, base: string, entry: TarEntry): void {
    parent.keepTimes();
    switch (entry.type) {
      case "file":
        this.#payload = new Payload(this.#parts.at, this.#members.openFile(parent, base, entry), entry, parent, base);
        break;
      case "directory":
        this.#members.directory(parent, base, entry);
        break;
      case "symlink":
        this.#members.symlink(parent, base, entry);
        break;
      case "link":
        this.#members.link(parent, base, entry);
        break;
      case "char":
      case "block":
      case "fifo":
        this.#members.device(parent, base, entry);
        break;
    }
    this.#tree.remember(parent, base);
  }

  /** Children first: a mode may shut the directory above them. As deep as `ApplyLimits.depth`. */
  #finish(directory: Directory): void {
    const { metadata } = this.#parts;
    for (const child of directory.children?.values() ?? []) this.#finish(child);
    if (directory.finish === undefined) return;
    const { parent } = directory;
    if (parent === undefined) metadata.finish(this.#tree.fd(directory), ".", directory.finish);
    else metadata.finish(this.#tree.fd(parent), directory.name, directory.finish);
    this.#tree.trim();
  }
}
