/**
 * The exact tar of any layer that this machine holds, in whatever form: what deltas copy from. Forms that are files are opened as they are; a
 * compressed blob is inflated once, for all who open its layer; a tree gives the tar with the tar-split that was kept of it. What is open as a file stays
 * readable when its name is collected, and a tree is leased.
 */
import { toVarveError } from "../../errors/from-system.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { FileTar } from "../../layer/seekable/file-tar.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Store } from "../../store/store.ts";
import type { HasOptions, LayerTars } from "../deltas/types.ts";
import { InflatedLayers } from "./inflated-layers.ts";
import type { LayerForm, LayerTarsRoot } from "./layer-form.ts";
import { OwnLayers } from "./own-layers.ts";
import { TreeLayers } from "./tree-layers.ts";

export interface HeldLayerTarsOptions {
  readonly store: Store;
  /** Where else to look, after the store and in this order. They go when this is disposed of. Default: nowhere. */
  readonly roots?: readonly LayerTarsRoot[];
  readonly signal: AbortSignal;
}

/** Of this form nothing can be had, of another perhaps. */
const IS_LOST: ReadonlySet<ErrorCode> = new Set([
  "FILE_NOT_FOUND",
  "SOURCE_CHANGED",
  "BLOB_UNKNOWN",
  "STORE_CORRUPT",
  "COMPRESSION_INVALID",
  "DIFFID_MISMATCH",
  "TAR_SPLIT_INVALID",
  "PERMISSION",
  "IO",
]);

export class HeldLayerTars implements LayerTars {
  readonly #places: readonly LayerTarsRoot[];
  readonly #inflated: InflatedLayers;
  readonly #trees: TreeLayers;

  constructor({ store, roots = [], signal }: HeldLayerTarsOptions) {
    this.#places = [new OwnLayers(store, signal), ...roots];
    this.#inflated = new InflatedLayers(store.root, signal);
    this.#trees = new TreeLayers(store.leases);
  }

  async has(diffId: Digest, options?: HasOptions): Promise<boolean> {
    for await (const _form of this.#find(diffId, options)) return true;
    return false;
  }

  async open(diffId: Digest, signal?: AbortSignal): Promise<SeekableTar> {
    let lost: VarveError | undefined;
    for await (const form of this.#find(diffId)) {
      try {
        signal?.throwIfAborted();
        return await this.#open(form, diffId, signal);
      } catch (thrown) {
        const error = toVarveError(thrown, `opening layer ${diffId}`);
        if (!IS_LOST.has(error.code)) throw error;
        lost ??= error;
      }
    }
    const message =
      lost === undefined
        ? `layer ${diffId}, which a delta was made from, is not here`
        : `layer ${diffId}, which a delta was made from, cannot be read here: ${lost.message}`;
    throw new VarveError("DELTA_BASE_MISSING", message, {
      detail: { diffId },
      ...(lost !== undefined && { cause: lost }),
    });
  }

  async config(imageId: Digest): Promise<Uint8Array | undefined> {
    for (const place of this.#places) {
      const bytes = await place.config(imageId);
      if (bytes !== undefined) return bytes;
    }
    return undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    for (const place of this.#places) all.use(place);
    all.use(this.#inflated);
    all.use(this.#trees);
  }

  async *#find(diffId: Digest, options?: HasOptions): AsyncGenerator<LayerForm> {
    for (const place of this.#places) yield* place.find(diffId, options);
  }

  #open(form: LayerForm, diffId: Digest, signal: AbortSignal | undefined): Promise<SeekableTar> {
    switch (form.kind) {
      case "tar":
        return FileTar.open(form.path);
      case "blob":
        return this.#inflated.open(form, diffId, signal);
      case "tree":
        return this.#trees.open(form, diffId);
    }
  }
}
