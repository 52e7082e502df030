/**
 * Puts layers into a directory, one over the other, as the OCI image-spec's layer.md says for a flattened tree. Nothing
 * outside the directory can be reached, whatever the archive says: see directory-tree.ts.
 *
 * Synchronous, for the parser calls it so and a system call costs less than a promise. The root's own entry sets the
 * root's owner, mode and times, as umoci does (containerd skips it); an empty root starts as 0755 with the times of 1970,
 * also as umoci's.
 */
import type { SparseExtent, TarEntry, TarHandler } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import { atCalls, type AtCalls } from "../sys/at.ts";
import { must, systemError } from "../sys/errno.ts";
import { Attributes } from "./attributes.ts";
import type { Directory } from "./directory.ts";
import { DirectoryTree } from "./directory-tree.ts";
import { applyFault, rootFault } from "./fault.ts";
import { DEFAULT_LIMITS, overLimit, type ApplyLimits } from "./limits.ts";
import { Members } from "./members.ts";
import { Metadata } from "./metadata.ts";
import { isReserved, markerOf, quoteName, splitName } from "./names.ts";
import { privileges } from "./privileges.ts";
import { listOf, nextName, Remover } from "./remover.ts";
import { Tally, type ApplyReport } from "./report.ts";

export interface ApplyOptions {
  /** Everything belongs to the user who runs this. Default false: to whom the layers say. */
  readonly noSameOwner?: boolean;
  readonly limits?: ApplyLimits;
}

/** The member whose payload comes in. */
interface OpenFile {
  readonly fd: number;
  readonly entry: TarEntry;
  readonly parent: Directory;
  readonly base: string;
  /** Of a sparse file: the extent that is being filled, and how far. */
  extent: number;
  filled: number;
}

/**
 * `beginLayer`, the members of a layer as a `TarHandler`, `endLayer`; again for the next layer; `finish`. After an error it
 * can only be disposed of; the tree is then incomplete.
 */
export class LayerApplier implements TarHandler, Disposable {
  readonly #at: AtCalls = atCalls();
  readonly #limits: Required<ApplyLimits>;
  readonly #tally = new Tally();
  readonly #tree: DirectoryTree;
  readonly #metadata: Metadata;
  readonly #remover: Remover;
  readonly #members: Members;
  #layers = 0;
  #inLayer = false;
  #file: OpenFile | undefined;
  #stored = 0;
  #disposed = false;

  /** @param root an existing directory, which becomes the root of the tree @throws PERMISSION, FILE_NOT_FOUND, PATH_INVALID, FFI_UNAVAILABLE */
  constructor(root: string, options: ApplyOptions = {}) {
    this.#limits = { ...DEFAULT_LIMITS, ...options.limits };
    const limits = this.#limits;
    const rights = privileges();
    const confinedTo = rights.uid === 0 ? undefined : rights.uid;
    const attributes = new Attributes(this.#at, this.#tally, { limits, restricted: rights.restricted });
    this.#metadata = new Metadata(this.#at, this.#tally, attributes, {
      sameOwner: options.noSameOwner !== true,
      privileges: rights,
    });
    try {
      this.#tree = new DirectoryTree(root, this.#at, {
        limits,
        confinedTo,
        makeImplied: (parent, name) => this.#members.impliedDirectory(parent, name),
      });
    } catch (error) {
      throw rootFault(error, root);
    }
    this.#remover = new Remover(this.#at, this.#tree, {
      confinedTo,
      makeImplied: (directory) => this.#members.resetToImplied(directory),
    });
    this.#members = new Members({
      at: this.#at,
      tree: this.#tree,
      metadata: this.#metadata,
      remover: this.#remover,
      tally: this.#tally,
    });
  }

  /** What was done so far. */
  report(): ApplyReport {
    return this.#tally.report();
  }

  /** What follows hides and replaces what earlier layers wrote. */
  beginLayer(): void {
    if (this.#inLayer) throw new VarveError("INTERNAL", "a layer was begun within a layer");
    this.#guard(undefined, () => {
      const first = this.#layers++ === 0;
      this.#tree.begin(false);
      if (first && isEmpty(this.#tree.fd(this.#tree.root))) {
        this.#tree.begin(true);
        this.#members.emptyRoot();
      }
      this.#inLayer = true;
    });
  }

  /** Gives directories the times and modes that had to wait for their content. */
  endLayer(): void {
    if (!this.#inLayer || this.#file !== undefined) throw new VarveError("INTERNAL", "no layer is complete here");
    this.#guard(undefined, () => this.#finish(this.#tree.root));
    this.#inLayer = false;
  }

  /** Closes everything and says what was done. */
  finish(): ApplyReport {
    if (this.#inLayer) throw new VarveError("INTERNAL", "the last layer is not complete");
    this[Symbol.dispose]();
    return this.#tally.report();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#inLayer = false;
    if (this.#file !== undefined) this.#at.close(this.#file.fd);
    this.#file = undefined;
    this.#tree[Symbol.dispose]();
  }

  entry(entry: TarEntry): void {
    if (!this.#inLayer) throw new VarveError("INTERNAL", "no layer was begun");
    this.#charge(entry);
    try {
      this.#tree.trim();
      this.#apply(entry);
    } catch (error) {
      throw applyFault(error, entry.name);
    }
  }

  data(bytes: Uint8Array): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      if (file.entry.sparse === undefined) this.#write(file.fd, bytes, undefined);
      else this.#writeExtents(file, file.entry.sparse, bytes);
    } catch (error) {
      throw applyFault(error, file.entry.name);
    }
  }

  endEntry(): void {
    const file = this.#file;
    if (file === undefined) return;
    try {
      const { fd, entry, parent, base } = file;
      if (entry.sparse !== undefined) must(this.#at.truncate(fd, entry.size), "ftruncate", entry.name);
      this.#metadata.file(fd, parent, this.#tree.fd(parent), base, entry);
      this.#file = undefined;
      must(this.#at.close(fd), "close", entry.name);
    } catch (error) {
      throw applyFault(error, file.entry.name);
    }
  }

  #charge(entry: TarEntry): void {
    if (++this.#tally.entries > this.#limits.entries) throw overLimit("members", this.#limits.entries);
    this.#stored += entry.storedSize;
    if (this.#stored > this.#limits.bytes) throw overLimit("bytes", this.#limits.bytes);
  }

  #apply(entry: TarEntry): void {
    const { name } = entry;
    if (name.includes("\0") || entry.linkName.includes("\0")) {
      throw new VarveError("LAYER_INVALID", `a name holds a NUL byte: ${quoteName(name)}`);
    }
    const [parentName, base] = splitName(name);
    if (base === undefined) return this.#applyRoot(entry);
    const marker = markerOf(base);
    if (marker.kind === "none" && !isReserved(name)) return this.#make(this.#tree.reach(parentName), base, entry);
    if (marker.kind === "delete") this.#hide(parentName, marker.target);
    else if (marker.kind === "opaque") this.#hideContent(parentName);
    else this.#tally.warn(`${quoteName(name)} left out: the name is reserved`);
  }

  #applyRoot(entry: TarEntry): void {
    if (entry.type !== "directory") return;
    this.#tally.directories++;
    this.#members.root(entry);
  }

  #hide(parentName: string, target: string): void {
    this.#tally.whiteouts++;
    const parent = this.#tree.find(parentName);
    if (parent !== undefined) this.#remover.hide(parent, target);
  }

  #hideContent(name: string): void {
    this.#tally.whiteouts++;
    const directory = this.#tree.find(name);
    if (directory !== undefined) this.#remover.hideContent(directory);
  }

  #make(parent: Directory, base: string, entry: TarEntry): void {
    parent.keepTimes();
    switch (entry.type) {
      case "file":
        this.#tally.files++;
        this.#tally.bytes += entry.size;
        this.#file = { fd: this.#members.openFile(parent, base, entry), entry, parent, base, extent: 0, filled: 0 };
        break;
      case "directory":
        this.#tally.directories++;
        this.#members.directory(parent, base, entry);
        break;
      case "symlink":
        this.#tally.links++;
        this.#members.symlink(parent, base, entry);
        break;
      case "link":
        this.#tally.links++;
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

  #writeExtents(file: OpenFile, extents: readonly SparseExtent[], bytes: Uint8Array): void {
    for (let at = 0; at < bytes.byteLength;) {
      const extent = extents[file.extent];
      if (extent === undefined)
        throw new VarveError("LAYER_INVALID", `more data than the map of ${quoteName(file.entry.name)}`);
      const length = Math.min(extent.length - file.filled, bytes.byteLength - at);
      this.#write(file.fd, bytes.subarray(at, at + length), extent.offset + file.filled);
      at += length;
      file.filled += length;
      if (file.filled < extent.length) continue;
      file.extent++;
      file.filled = 0;
    }
  }

  #write(fd: number, bytes: Uint8Array, position: number | undefined): void {
    for (let done = 0; done < bytes.byteLength;) {
      const rest = done === 0 ? bytes : bytes.subarray(done);
      const written = this.#at.write(fd, rest, position === undefined ? undefined : position + done);
      if (written < 0) throw systemError(-written, "write");
      done += written;
    }
  }

  /** Children first: a mode may shut the directory above them. As deep as `ApplyLimits.depth`. */
  #finish(directory: Directory): void {
    for (const child of directory.children?.values() ?? []) this.#finish(child);
    if (directory.finish === undefined) return;
    const { parent } = directory;
    if (parent === undefined) this.#metadata.finish(this.#tree.fd(directory), ".", directory.finish);
    else this.#metadata.finish(this.#tree.fd(parent), directory.name, directory.finish);
    this.#tree.trim();
  }

  #guard(name: string | undefined, run: () => void): void {
    try {
      run();
    } catch (error) {
      throw applyFault(error, name);
    }
  }
}

function isEmpty(fd: number): boolean {
  const list = listOf(fd);
  try {
    return nextName(list) === undefined;
  } finally {
    list.closeSync();
  }
}
