/** Layers that are read out of trees: each tar-split is read once, however many open the layer, and the tree stays while it is. */
import { toVarveError } from "../../errors/from-system.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import { readSplit } from "../../layer/seekable/kept-split.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import { openTreeTar } from "../../layer/seekable/tree-tar.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Lease, Leases } from "../../store/leases.ts";
import type { LayerForm } from "./layer-form.ts";

type Tree = LayerForm & { readonly kind: "tree" };

export class TreeLayers implements AsyncDisposable {
  readonly #leases: Leases;
  readonly #tars = new Map<Digest, Promise<SeekableTar>>();
  #lease: Promise<Lease | undefined> | undefined;

  constructor(leases: Leases) {
    this.#leases = leases;
  }

  /** @throws VarveError `TAR_SPLIT_INVALID`, `FILE_NOT_FOUND`, `COMPRESSION_INVALID`, `PERMISSION`, `IO` */
  async open(tree: Tree, diffId: Digest): Promise<SeekableTar> {
    const known = this.#tars.get(diffId);
    const opening = known ?? this.#open(tree);
    this.#tars.set(diffId, opening);
    try {
      const tar = await opening;
      return {
        size: tar.size,
        read: (into, position) => tar.read(into, position),
        parts: (start, length) => tar.parts(start, length),
        // Whoever opens it next finds it open.
        [Symbol.asyncDispose]: () => Promise.resolve(),
      };
    } catch (error) {
      if (this.#tars.get(diffId) === opening) this.#tars.delete(diffId);
      throw toVarveError(error, `reading the layer ${diffId}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await using all = new AsyncDisposableStack();
    const tars = [...this.#tars.values()];
    this.#tars.clear();
    const lease = await this.#lease;
    if (lease !== undefined) all.use(lease);
    for (const opening of tars) {
      const tar = await opening.catch(() => undefined);
      if (tar !== undefined) all.use(tar);
    }
  }

  async #open({ root, split, key }: Tree): Promise<SeekableTar> {
    // First the lease: what is there then, stays.
    if (key !== undefined) await (await (this.#lease ??= this.#takeLease()))?.add(key);
    return openTreeTar({ root, split: readSplit(split) });
  }

  async #takeLease(): Promise<Lease | undefined> {
    try {
      return await this.#leases.create();
    } catch (error) {
      // Where nothing can be written nothing is removed either.
      if (isVarveError(error, "STORE_READ_ONLY")) return undefined;
      throw error;
    }
  }
}
