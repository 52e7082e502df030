/**
 * Puts one layer into a directory that an overlay can take as one of its layers, without knowing the layers below (image-spec, layer.md,
 * "Applying Changesets"; the marks are overlay-marks.ts'). Merged with its parents' directories it must be the tree that applying all
 * layers in turn gives (apply.ts). What depends on the parents is told as `OpenEnds`; when it is more than can be patched, the rest of the
 * layer is only read through, for it will be applied onto them.
 */
import type { TarEntry, TarHandler } from "../codec/tar/entry.ts";
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { atCalls } from "../sys/at.ts";
import { applyFault } from "./fault.ts";
import type { OpenEnds } from "./layer-target.ts";
import type { ApplyLimits } from "./limits.ts";
import { LowerUnknown } from "./lower-unknown.ts";
import { OverlayMarks } from "./overlay-marks.ts";
import { isEmptyDirectory } from "./remover.ts";
import type { ApplyReport } from "./report.ts";
import { openTreeParts, type LowerTools } from "./tree-parts.ts";
import { TreeWriter, type TreeWriterParts } from "./tree-writer.ts";

export interface OverlayApplyOptions {
  /** Whether opaque directories are marked by `user.overlay.*`, for mounts with `userxattr`. */
  readonly userXattr: boolean;
  readonly limits?: ApplyLimits;
}

export interface OverlayLayer {
  readonly report: ApplyReport;
  readonly open: OpenEnds;
}

/** The members of a layer as a `TarHandler`, then `finish`. After an error it can only be disposed of; the directory is then incomplete. */
export class OverlayApplier implements TarHandler, Disposable {
  readonly #parts: TreeWriterParts & { readonly lower: LowerUnknown };
  readonly #writer: TreeWriter;
  readonly #lower: LowerUnknown;
  #disposed = false;

  /**
   * @param directory an existing directory, empty
   * @throws PERMISSION, FILE_NOT_FOUND, PATH_INVALID; SNAPSHOT_STATE when it is not empty; FFI_UNAVAILABLE
   */
  constructor(directory: string, { userXattr, limits = {} }: OverlayApplyOptions) {
    if (!atCalls().native) throw new VarveError("FFI_UNAVAILABLE", "whiteouts cannot be made without foreign calls");
    const makeLower = (tools: LowerTools): LowerUnknown =>
      new LowerUnknown(tools, new OverlayMarks(tools.at, userXattr));
    this.#parts = openTreeParts(directory, { limits }, makeLower);
    this.#lower = this.#parts.lower;
    this.#writer = new TreeWriter(this.#parts);
    try {
      this.#begin(directory);
    } catch (error) {
      this[Symbol.dispose]();
      throw applyFault(error, undefined);
    }
  }

  entry(entry: TarEntry): void {
    const meaning = this.#writer.count(entry);
    if (this.#lower.replay !== undefined) return;
    try {
      this.#writer.apply(entry, meaning);
    } catch (error) {
      if (!this.#lower.inDoubt || !isLayerFault(error)) throw error;
      // It may be none where lower layers have links; if it is one, it will be found again.
      this.#lower.ask(error.message);
    }
  }

  data(bytes: Uint8Array): void {
    this.#writer.data(bytes);
  }

  endEntry(): void {
    this.#writer.endEntry();
  }

  /** Gives directories their times and modes, closes everything and says what came of it. */
  finish(): OverlayLayer {
    if (this.#disposed || this.#writer.inMember) throw new VarveError("INTERNAL", "the layer is not complete");
    const open = this.#lower.open();
    try {
      if (open.replay === undefined) this.#writer.finish();
    } catch (error) {
      throw applyFault(error, undefined);
    }
    this[Symbol.dispose]();
    return { report: this.#parts.tally.report(), open };
  }

  [Symbol.dispose](): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#writer[Symbol.dispose]();
  }

  #begin(directory: string): void {
    const { tree, members } = this.#parts;
    tree.begin(true);
    if (!isEmptyDirectory(tree.fd(tree.root))) {
      throw new VarveError(
        "SNAPSHOT_STATE",
        `there is something in ${directory} already, so no layer can be unpacked there`,
      );
    }
    members.emptyRoot();
    this.#lower.begin();
  }
}

function isLayerFault(error: unknown): error is VarveError {
  return isVarveError(error) && (error.code === "LAYER_INVALID" || error.code === "LAYER_LIMIT");
}
