/**
 * Whether a layer's directory in overlay form still is what its tar made of it: the tar is applied to a tree in memory, that tree is settled
 * as the directory was, and the two are compared, with the content of all files.
 */
import type { TarEntry, TarHandler, TarLimits } from "../codec/tar/entry.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { DigestAlgorithm } from "../oci/digest.ts";
import { AT_FDCWD, atCalls, OPEN_DIRECTORY } from "../sys/at.ts";
import { must } from "../sys/errno.ts";
import { readTar, type AppliedLayer } from "./apply-layer.ts";
import { applyFault } from "./fault.ts";
import { FileContents } from "./file-contents.ts";
import { IndexBuilder } from "./index-builder.ts";
import { settleIndex } from "./index-settle.ts";
import { isDirectory } from "./index-tree.ts";
import type { ApplyLimits } from "./limits.ts";
import { OverlayMarks } from "./overlay-marks.ts";
import { OverlayStack } from "./overlay-stack.ts";
import { privileges } from "./privileges.ts";
import { TreeComparison } from "./tree-comparison.ts";
import { DifferenceList, type TreeDifferences } from "./tree-differences.ts";

export interface CheckTreeOptions {
  /** Directories of the layers below, the nearest first: what the layer was settled with. */
  readonly parents: readonly string[];
  readonly userXattr: boolean;
  /** Of the DiffID that is told. Default sha256. */
  readonly algorithm?: DigestAlgorithm;
  readonly limits?: ApplyLimits;
  readonly tarLimits?: TarLimits;
  readonly signal?: AbortSignal;
  /** Told how many bytes of the tar have been read, after each chunk. */
  readonly onBytes?: (done: number) => void;
}

export interface TreeCheck extends AppliedLayer, TreeDifferences {
  /** Why the directory could not be compared, where that is so: it was made by applying the tar onto the parents. */
  readonly unchecked: string | undefined;
}

/**
 * @param tar uncompressed
 * @param directory settled on `options.parents`; nothing in it is changed
 * @throws LAYER_INVALID, LAYER_LIMIT, FILE_NOT_FOUND, PERMISSION, FFI_UNAVAILABLE; the source's errors and the signal's reason as they are
 */
export async function checkTree(
  tar: AsyncIterable<Uint8Array>,
  directory: string,
  options: CheckTreeOptions,
): Promise<TreeCheck> {
  const { parents, userXattr, limits, tarLimits, ...rest } = options;
  const signal = options.signal ?? new AbortController().signal;
  const contents = new FileContents();
  const builder = new IndexBuilder({
    ...(limits !== undefined && { limits }),
    onFile: (node, entry) => contents.begin(node, entry),
  });
  const read = await readTar(tar, new Tee(builder, contents), {
    ...rest,
    ...(tarLimits !== undefined && { limits: tarLimits }),
  });
  const { tree, open } = builder.finish(read.size, "");
  const list = new DifferenceList();
  if (open.replay !== undefined) return { ...read, ...list.differences, unchecked: open.replay };
  try {
    const at = atCalls();
    if (!at.native) throw new VarveError("FFI_UNAVAILABLE", "whiteouts cannot be told without foreign calls");
    const marks = new OverlayMarks(at, userXattr);
    using lower = new OverlayStack(at, marks, parents);
    const root = isDirectory(tree.root) ? tree.root : undefined;
    if (root === undefined) throw new VarveError("INTERNAL", "the root of a layer is no directory");
    const unchecked = settleIndex(root, open, { at, marks, lower });
    if (unchecked === undefined) {
      const { restricted } = privileges();
      const fd = must(at.open(AT_FDCWD, directory, OPEN_DIRECTORY, 0), "open", directory);
      try {
        await new TreeComparison({ at, marks, contents, list, restricted, signal }).directory(root, fd, "");
      } finally {
        at.close(fd);
      }
    }
    return { ...read, ...list.differences, unchecked };
  } catch (error) {
    if (signal.aborted) throw error;
    throw applyFault(error, undefined);
  }
}

/** Each member's payload goes to both. */
class Tee implements TarHandler {
  readonly #builder: IndexBuilder;
  readonly #contents: FileContents;

  constructor(builder: IndexBuilder, contents: FileContents) {
    this.#builder = builder;
    this.#contents = contents;
  }

  raw(bytes: Uint8Array): void {
    this.#builder.raw(bytes);
  }

  entry(entry: TarEntry): void {
    this.#builder.entry(entry);
  }

  data(bytes: Uint8Array): void {
    this.#builder.data(bytes);
    this.#contents.data(bytes);
  }

  endEntry(): void {
    this.#builder.endEntry();
    this.#contents.end();
  }
}
