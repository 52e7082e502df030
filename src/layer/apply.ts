/**
 * Puts layers into a directory, one over the other, as the OCI image-spec's layer.md says for a flattened tree. Nothing
 * outside the directory can be reached, whatever the archive says: see directory-tree.ts.
 *
 * The root's own entry sets the root's owner, mode and times, as umoci does (containerd skips it); an empty root starts as 0755 with the
 * times of 1970, also as umoci's.
 */
import type { TarEntry, TarHandler } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import { applyFault } from "./fault.ts";
import { LowerInPlace } from "./lower-in-place.ts";
import type { ApplyReport } from "./report.ts";
import { isEmptyDirectory } from "./remover.ts";
import { openTreeParts, type LowerTools, type TreePartsOptions } from "./tree-parts.ts";
import { TreeWriter, type TreeWriterParts } from "./tree-writer.ts";

export interface ApplyOptions extends TreePartsOptions {
  /**
   * Whether layers were applied to the directory before. Default false: the first layer, when it finds the directory empty, gives it
   * the mode and times of a new root.
   */
  readonly begun?: boolean;
}

/**
 * `beginLayer`, the members of a layer as a `TarHandler`, `endLayer`; again for the next layer; `finish`. After an error it
 * can only be disposed of; the tree is then incomplete.
 */
export class LayerApplier implements TarHandler, Disposable {
  readonly #parts: TreeWriterParts;
  readonly #writer: TreeWriter;
  #begun: boolean;
  #inLayer = false;
  #disposed = false;

  /**
   * @param root an existing directory, which becomes the root of the tree
   * @param makeLower what the layers find there. Default: a tree of a plain file system
   * @throws PERMISSION, FILE_NOT_FOUND, PATH_INVALID, FFI_UNAVAILABLE
   */
  constructor(
    root: string,
    options: ApplyOptions = {},
    makeLower = (tools: LowerTools): LowerInPlace => new LowerInPlace(tools),
  ) {
    this.#begun = options.begun ?? false;
    this.#parts = openTreeParts(root, options, makeLower);
    this.#writer = new TreeWriter(this.#parts);
  }

  /** What was done so far. */
  report(): ApplyReport {
    return this.#parts.tally.report();
  }

  /** What follows hides and replaces what earlier layers wrote. */
  beginLayer(): void {
    if (this.#inLayer) throw new VarveError("INTERNAL", "a layer was begun within a layer");
    const { tree, members } = this.#parts;
    members.beginLayer();
    guard(() => {
      tree.begin(false);
      if (!this.#begun && isEmptyDirectory(tree.fd(tree.root))) {
        tree.begin(true);
        members.emptyRoot();
      }
    });
    this.#begun = true;
    this.#inLayer = true;
  }

  entry(entry: TarEntry): void {
    if (!this.#inLayer) throw new VarveError("INTERNAL", "no layer was begun");
    this.#writer.entry(entry);
  }

  data(bytes: Uint8Array): void {
    this.#writer.data(bytes);
  }

  endEntry(): void {
    this.#writer.endEntry();
  }

  /** Gives directories the times and modes that had to wait for their content. */
  endLayer(): void {
    if (!this.#inLayer || this.#writer.inMember) throw new VarveError("INTERNAL", "no layer is complete here");
    guard(() => this.#writer.finish());
    this.#inLayer = false;
  }

  /** Closes everything and says what was done. */
  finish(): ApplyReport {
    if (this.#inLayer) throw new VarveError("INTERNAL", "the last layer is not complete");
    this[Symbol.dispose]();
    return this.report();
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#inLayer = false;
    this.#writer[Symbol.dispose]();
  }
}

function guard(run: () => void): void {
  try {
    run();
  } catch (error) {
    throw applyFault(error, undefined);
  }
}
