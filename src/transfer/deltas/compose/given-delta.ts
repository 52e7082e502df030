/** A delta image in the place that it was named in, with what is read of it. */
import { isDeltaConfig } from "../../../oci/delta-names.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import type { Platform } from "../../../oci/platform.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import type { TransferContext } from "../../context.ts";
import { openManifest, readImageConfig } from "../../open-image.ts";
import { openSource } from "../../open-place.ts";
import type { ImageSource } from "../../transports/types.ts";
import { checkCommonLayers, readDeltaImage, type DeltaImage } from "../delta-image.ts";

export interface GivenDelta {
  /** As it was given. */
  readonly name: string;
  readonly source: ImageSource;
  readonly manifest: Manifest;
  readonly image: DeltaImage;
  readonly targetId: Digest;
}

/**
 * Nobody can clean it up while `held` lasts.
 * @throws VarveError `USAGE` for an image that is no delta; `DELTA_IMAGE_INVALID`, `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `MANIFEST_UNKNOWN` ...
 */
export async function openGivenDelta(
  context: TransferContext,
  name: string,
  platform: Platform | undefined,
  held: AsyncDisposableStack,
): Promise<GivenDelta> {
  const source = held.use(await openSource(context, name));
  const { manifest } = await openManifest(source, name, platform);
  const config = await readImageConfig(source, manifest, name, context.signal);
  if (!isDeltaConfig(config)) {
    throw new VarveError("USAGE", `${name} is no delta between images`, { hint: "varve delta create makes one" });
  }
  const image = readDeltaImage(manifest, config);
  const gap = image.layers.findIndex(({ isEmpty }, at) => isEmpty && image.layers[at - 1]?.isEmpty === false);
  if (gap !== -1) {
    throw new VarveError("DELTA_IMAGE_INVALID", `${name} leaves out layer ${gap}, and has one below it`);
  }
  if (image.base !== undefined) checkCommonLayers(manifest, image, image.base);
  return { name, source, manifest, image, targetId: image.target.digest };
}
