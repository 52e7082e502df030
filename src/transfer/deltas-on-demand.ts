/** What a pull uses deltas by, opened when a layer is missing and deltas may be of use: most pulls load nothing of it. */
import { isDeltaConfig } from "../oci/delta-names.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { TransferContext } from "./context.ts";
import type { DeltaPull } from "./deltas/delta-pull.ts";
import type { DeltaOptions } from "./deltas/deltas-of-pull.ts";
import { holdsOthers } from "./deltas/discover/holds-others.ts";
import type { ResolvedImage } from "./resolve-image.ts";
import type { Tally } from "./tally.ts";

export class DeltasOnDemand implements AsyncDisposable {
  /** Whether they are those of a delta image, and there is no other way to its layers. */
  readonly isOnlyWay: boolean;
  readonly #open: () => Promise<DeltaPull | undefined>;
  #opening: Promise<DeltaPull | undefined> | undefined;

  private constructor(open: () => Promise<DeltaPull | undefined>, isOnlyWay: boolean) {
    this.#open = open;
    this.isOnlyWay = isOnlyWay;
  }

  /** Those of a delta image, which goes when this is disposed of. */
  static opened(pull: DeltaPull): DeltasOnDemand {
    const opened = Promise.resolve(pull);
    const deltas = new DeltasOnDemand(() => opened, true);
    deltas.#opening = opened;
    return deltas;
  }

  /** Those that the registry has for an image, and layers that other stores have; undefined where nothing can come of either. */
  static of(
    context: TransferContext,
    image: ResolvedImage,
    options: DeltaOptions & { readonly tally: Tally },
  ): DeltasOnDemand {
    const { delta = "auto", deltaRoots = [] } = options;
    const mayBeOfUse = async (): Promise<boolean> => {
      if (deltaRoots.length > 0 || delta === "always") return true;
      return delta !== "never" && (await holdsOthers(context.store, new Set(image.config?.rootfs.diffIds)));
    };
    return new DeltasOnDemand(async () => {
      if (!(await mayBeOfUse())) return undefined;
      const { deltasFor } = await import("./deltas/deltas-of-pull.ts");
      return deltasFor(context, image, options);
    }, false);
  }

  readonly open = (): Promise<DeltaPull | undefined> => (this.#opening ??= this.#open());

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
  }
}

/** Whether an image is a delta between two others, perhaps a broken one. */
export function isDelta<Image extends Pick<ResolvedImage, "config">>(
  image: Image,
): image is Image & { readonly config: ImageConfig } {
  return isDeltaConfig(image.config);
}
