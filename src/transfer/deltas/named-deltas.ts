/** The deltas of a delta image that was asked for by name: one for each layer that it does not leave out, all from the same base, and no other way. */
import { VarveError } from "../../errors/varve-error.ts";
import { parseImageConfig } from "../../oci/config.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { Reference } from "../../oci/reference.ts";
import type { UnpackTask } from "../present-layer.ts";
import { checkCommonLayers, type DeltaImage } from "./delta-image.ts";
import type { DeltaPlace, LayerDelta, LayerDeltas, LayerTars } from "./types.ts";

export interface NamedDeltasOptions {
  /** Of the delta image. */
  readonly manifest: Manifest;
  readonly image: DeltaImage;
  /** Stays the caller's. */
  readonly tars: LayerTars;
  readonly reference: Reference;
  readonly place?: DeltaPlace | undefined;
}

export class NamedDeltas implements LayerDeltas {
  readonly isOnlyWay = true;
  readonly place?: DeltaPlace;
  readonly #options: NamedDeltasOptions;
  readonly #sizes = new Map<Digest, number>();
  #base: Promise<readonly Digest[]> | undefined;

  constructor(options: NamedDeltasOptions) {
    this.#options = options;
    if (options.place !== undefined) this.place = options.place;
  }

  /** @throws VarveError `DELTA_BASE_MISSING`, `DELTA_IMAGE_INVALID` */
  async of({ diffId }: Pick<UnpackTask, "diffId">): Promise<readonly LayerDelta[]> {
    const { image, reference } = this.#options;
    const layer = image.layers.find((each) => each.diffId === diffId && !each.isEmpty);
    const base = await (this.#base ??= this.#findBase());
    if (layer === undefined) return [];
    const size = this.#sizes.get(diffId) ?? layer.size;
    return [{ how: "librsync-delta", diffId, blob: layer.blob, reference, base, ...(size !== undefined && { size }) }];
  }

  /** The size of a layer's tar, when it was found out. */
  measured(diffId: Digest, size: number): void {
    this.#sizes.set(diffId, size);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** The base's DiffIDs, of which each is held. */
  async #findBase(): Promise<readonly Digest[]> {
    const { image, manifest, tars } = this.#options;
    const config = await tars.config(image.baseId);
    // An image that has the same layers will do as well as the base.
    const base =
      config === undefined
        ? image.base
        : parseImageConfig(config, { expected: { digest: image.baseId } }).rootfs.diffIds;
    if (base === undefined) throw this.#missing(`image ${image.baseId}, which it was made from, is not here`);
    checkCommonLayers(manifest, image, base);
    for (const diffId of base) {
      if (await tars.has(diffId)) continue;
      throw this.#missing(`layer ${diffId} of image ${image.baseId}, which it was made from, is not here`);
    }
    return base;
  }

  #missing(why: string): VarveError {
    const { image, manifest } = this.#options;
    return new VarveError("DELTA_BASE_MISSING", `the delta image ${manifest.digest} cannot be applied: ${why}`, {
      detail: { baseId: image.baseId },
    });
  }
}
