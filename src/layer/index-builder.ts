/**
 * Applies a layer to a tree in memory that says of each file where its bytes lie in the layer's tar, so that the tar itself can be mounted
 * (erofs.md, "Own writer"). It does what `LayerApplier` does to a directory, entry by entry, in one of two ways:
 *
 * - onto a known tree: what comes out is what `LayerApplier`, run as root, would leave on disk;
 * - alone, before anything is known of lower layers: what the layer hides is marked as overlayfs and mkfs.erofs mark it, directories
 *   that it takes for granted are listed, and where that is not enough to tell what the layer does, it says so (`OpenEnds.replay`).
 *   Whatever depends on where a name leads is no error then: it may come out otherwise on the layers below.
 */
import type { IndexNode, IndexTree } from "../codec/erofs/tree.ts";
import type { TarEntry, TarHandler } from "../codec/tar/entry.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { applyFault } from "./fault.ts";
import { IndexDirectory, Undecided } from "./index-directory.ts";
import { IndexMembers } from "./index-members.ts";
import { IndexNodes } from "./index-nodes.ts";
import { IndexPaths } from "./index-paths.ts";
import { countNames, emptyIndex, isDirectory, mark } from "./index-tree.ts";
import { type Hiding, Marking, Removal } from "./index-whiteouts.ts";
import type { OpenEnds } from "./layer-target.ts";
import { DEFAULT_LIMITS, overLimit, type ApplyLimits } from "./limits.ts";
import { isReserved, markerOf, quoteName, splitName } from "./names.ts";
import { type ExtraSink, type PayloadCopy, PayloadPlaces } from "./payload-places.ts";
import { Tally, type ApplyReport } from "./report.ts";

export interface IndexBuilderOptions {
  /** What to apply it to; its nodes are changed, also when the layer turns out to be invalid. Default: nothing is known of lower layers. */
  readonly onto?: IndexTree;
  readonly limits?: ApplyLimits;
  /** Takes the data of sparse files. Default: they go nowhere, for the extra file is there already. */
  readonly extra?: ExtraSink;
  /** Told of each file's node before its payload comes. */
  readonly onFile?: (node: IndexNode, entry: TarEntry) => void;
}

export interface BuiltIndex {
  /** Its last devices are the layer's tar and, when it has any bytes, the extra file. Empty where `open.replay` is set. */
  readonly tree: IndexTree;
  /** Of a layer that was applied alone. */
  readonly open: OpenEnds;
  readonly report: ApplyReport;
  /** Bytes that the extra file must have; a multiple of 512. */
  readonly extraSize: number;
  /** What has to be copied into it from the tar. */
  readonly copies: readonly PayloadCopy[];
}

/** Measured: 240 for a file, 570 for a directory. */
const BYTES_PER_NODE = 300;
const BYTES_PER_DIRECTORY = 600;
const BYTES_PER_XATTR = 200;

/** The members of one layer as a `TarHandler`, then `finish`. After an error it is of no more use. */
export class IndexBuilder implements TarHandler {
  readonly #limits: Required<ApplyLimits>;
  readonly #tally = new Tally();
  readonly #tree: IndexTree;
  readonly #paths: IndexPaths;
  readonly #nodes: IndexNodes;
  readonly #members: IndexMembers;
  readonly #hiding: Hiding;
  readonly #places: PayloadPlaces;
  readonly #alone: boolean;
  readonly #onFile: IndexBuilderOptions["onFile"];
  #replay: string | undefined;
  #stored = 0;
  #held = 0;
  #names: number;

  constructor({ onto, limits, extra, onFile }: IndexBuilderOptions = {}) {
    this.#onFile = onFile;
    this.#limits = { ...DEFAULT_LIMITS, ...limits };
    this.#alone = onto === undefined;
    this.#tree = onto ?? emptyIndex();
    const { root: node, devices } = this.#tree;
    if (!isDirectory(node)) throw new VarveError("INDEX_INVALID", "the root of the tree is no directory");
    const root = new IndexDirectory(undefined, "", node, false);
    root.implied = this.#alone;
    this.#paths = new IndexPaths(root, {
      limits: this.#limits,
      alone: this.#alone,
      makeImplied: (parent, name) => this.#members.implied(parent, name),
    });
    this.#nodes = new IndexNodes(this.#tally, this.#limits);
    const workshop = { alone: this.#alone, paths: this.#paths, nodes: this.#nodes, tally: this.#tally };
    this.#members = new IndexMembers(workshop);
    this.#hiding = this.#alone ? new Marking(this.#paths) : new Removal(this.#paths, this.#members, this.#nodes);
    this.#places = new PayloadPlaces(devices.length, extra);
    this.#names = onto === undefined ? 0 : countNames(onto);
  }

  /** Bytes of the tar so far. */
  get position(): number {
    return this.#places.position;
  }

  raw(bytes: Uint8Array): void {
    this.#places.raw(bytes);
  }

  data(bytes: Uint8Array): void {
    this.#places.data(bytes);
  }

  skip(length: number): void {
    this.#places.skip(length);
  }

  endEntry(): void {
    this.#places.end();
  }

  entry(entry: TarEntry): void {
    this.#charge(entry);
    try {
      this.#apply(entry);
    } catch (error) {
      if (error instanceof Undecided) this.#replay ??= error.message;
      // Of a layer that is replayed only the first fault counts, which may be one that only then shows.
      else if (this.#replay === undefined || !isVarveError(error)) throw applyFault(error, entry.name);
    }
  }

  /** The tar is over. @param size its bytes, @param tag what the devices are called in the index: 58 characters at most */
  finish(size: number, tag: string): BuiltIndex {
    this.#places.finish();
    const { extraSize, copies } = this.#places;
    const devices = [
      ...this.#tree.devices,
      { size, tag },
      ...(extraSize > 0 ? [{ size: extraSize, tag: `${tag}.extra` }] : []),
    ];
    const open = this.#open();
    const root = open.replay === undefined ? this.#tree.root : emptyIndex().root;
    return { tree: { root, devices }, open, report: this.#tally.report(), extraSize, copies };
  }

  /** Marks what is hidden, and lists what is implied. */
  #open(): OpenEnds {
    if (!this.#alone || this.#replay !== undefined) return { implied: [], replay: this.#replay };
    const implied: string[] = [];
    for (const directory of [this.#paths.root, ...this.#paths.root.below()]) {
      mark(directory.node, directory.opaque, directory.whiteouts);
      if (directory.implied) implied.push(directory.path);
    }
    return { implied, replay: undefined };
  }

  #charge(entry: TarEntry): void {
    if (++this.#tally.entries > this.#limits.entries) throw overLimit("members", this.#limits.entries);
    this.#stored += entry.storedSize;
    if (this.#stored > this.#limits.bytes) throw overLimit("bytes", this.#limits.bytes);
    if (++this.#names > this.#limits.indexNames) throw overLimit("names in its tree", this.#limits.indexNames);
    this.#held += entry.type === "directory" ? BYTES_PER_DIRECTORY : BYTES_PER_NODE;
    this.#held += entry.name.length + entry.linkName.length;
    for (const [name, value] of entry.xattrs ?? []) this.#held += BYTES_PER_XATTR + name.length + value.byteLength;
    if (this.#held > this.#limits.indexBytes) throw overLimit("bytes of memory for its index", this.#limits.indexBytes);
  }

  #apply(entry: TarEntry): void {
    const { name } = entry;
    if (name.includes("\0") || entry.linkName.includes("\0")) {
      throw new VarveError("LAYER_INVALID", `a name holds a NUL byte: ${quoteName(name)}`);
    }
    const [parentName, base] = splitName(name);
    if (base === undefined) return this.#applyRoot(entry);
    const marker = markerOf(base);
    if (marker.kind === "none" && !isReserved(name)) return this.#make(parentName, base, entry);
    if (marker.kind === "reserved" || marker.kind === "none") {
      this.#tally.warn(`${quoteName(name)} left out: the name is reserved`);
      return;
    }
    this.#tally.whiteouts++;
    if (this.#replay !== undefined) return;
    const directory = this.#paths.findToHide(parentName);
    if (directory === undefined) return;
    if (marker.kind === "opaque") this.#hiding.hideContent(directory);
    else this.#hiding.hide(directory, marker.target);
  }

  #applyRoot(entry: TarEntry): void {
    if (entry.type !== "directory") return;
    this.#tally.directories++;
    this.#members.describe(this.#paths.root, entry);
  }

  /** Once the layer has to be replayed, members are only checked and counted. */
  #make(parentName: string, base: string, entry: TarEntry): void {
    const parent = this.#reach(parentName);
    switch (entry.type) {
      case "file":
        this.#tally.files++;
        this.#tally.bytes += entry.size;
        this.#file(parent, base, entry);
        break;
      case "directory":
        this.#tally.directories++;
        this.#members.directory(parent, base, entry);
        break;
      case "link":
        this.#tally.links++;
        if (parent !== undefined) this.#members.link(parent, base, entry);
        break;
      case "symlink":
        this.#tally.links++;
        this.#members.plain(parent, base, entry);
        break;
      case "char":
      case "block":
      case "fifo":
        this.#members.plain(parent, base, entry);
        break;
    }
    if (parent !== undefined && !this.#alone) this.#paths.remember(parent, base);
  }

  #file(parent: IndexDirectory | undefined, base: string, entry: TarEntry): void {
    const place = this.#places.begin(entry);
    const node = this.#members.plain(parent, base, entry);
    if (node === undefined) return;
    node.size = entry.size;
    node.place = place;
    this.#places.belongsTo(node);
    this.#onFile?.(node, entry);
  }

  #reach(name: string): IndexDirectory | undefined {
    if (this.#replay !== undefined) return undefined;
    try {
      return this.#paths.reach(name);
    } catch (error) {
      if (!(error instanceof Undecided)) throw error;
      this.#replay = error.message;
      return undefined;
    }
  }
}
