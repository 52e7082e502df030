/** What a pull uses deltas by, opened when a layer is missing: most pulls load nothing of it. */
import { CONFIG_LABEL } from "../oci/delta-names.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { TransferContext } from "./context.ts";
import type { DeltaPull } from "./deltas/delta-pull.ts";
import type { DeltaOptions } from "./deltas/deltas-of-pull.ts";
import type { ResolvedImage } from "./resolve-image.ts";
import type { Tally } from "./tally.ts";

export class DeltasOnDemand implements AsyncDisposable {
  readonly #open: () => Promise<DeltaPull>;
  #opening: Promise<DeltaPull> | undefined;

  constructor(open: () => Promise<DeltaPull>) {
    this.#open = open;
  }

  /** Those that the registry has for an image. */
  static of(
    context: TransferContext,
    image: ResolvedImage,
    options: DeltaOptions & { readonly tally: Tally },
  ): DeltasOnDemand {
    return new DeltasOnDemand(async () => {
      const { deltasFor } = await import("./deltas/deltas-of-pull.ts");
      return deltasFor(context, image, options);
    });
  }

  readonly open = (): Promise<DeltaPull> => (this.#opening ??= this.#open());

  async [Symbol.asyncDispose](): Promise<void> {
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.[Symbol.asyncDispose]();
  }
}

/** Whether an image is a delta between two others, perhaps a broken one. */
export function isDelta<Image extends Pick<ResolvedImage, "config">>(
  image: Image,
): image is Image & { readonly config: ImageConfig } {
  return CONFIG_LABEL in (image.config?.config.Labels ?? {});
}
