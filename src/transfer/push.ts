/**
 * The use case "push": an image of the store, or of a layout or archive, to a registry. What was pulled has the same digest there, byte for
 * byte, unless its layers are to be compressed another way.
 */
import type { LayerCompressionKind } from "../codec/layer-compressions.ts";
import { VarveError } from "../errors/varve-error.ts";
import { parseReference } from "../oci/reference.ts";
import type { TransferContext } from "./context.ts";
import { copyImage, type CopyOptions, type CopyResult } from "./copy.ts";
import { findImages } from "./find-image.ts";
import { isHeldName } from "./open-place.ts";
import type { Recompressing } from "./recompress.ts";

export interface PushOptions extends CopyOptions {
  /** Default: the name of the image, which may say so itself. `docker://` may stand before it. */
  readonly to?: string;
  /** How its layers are to be compressed. The image's ID stays, but its digest changes when a layer's does. Default `keep`. */
  readonly compression?: "keep" | LayerCompressionKind;
}

export type PushResult = CopyResult;

/**
 * @param image a name or digest of the store, or one with a transport
 * @throws VarveError `USAGE`, `REFERENCE_INVALID`, `IMAGE_NOT_FOUND`, `PLATFORM_NOT_FOUND`, `MANIFEST_UNKNOWN` (a platform that is not
 * held), `UNAUTHORIZED`, `DENIED`, `REGISTRY_*` ...
 */
export async function pushImage(
  context: TransferContext,
  image: string,
  options: PushOptions = {},
): Promise<PushResult> {
  const to = options.to ?? (await nameOf(context, image));
  if (/^(oci|oci-archive|docker-archive):/.test(to)) {
    throw new VarveError("USAGE", `push sends images to registries, not to ${to}`, {
      hint: `varve copy ${image} ${to} writes it there`,
    });
  }
  parseReference(to);
  const recompress = await recompressingOf(options);
  const place = to.startsWith("docker://") ? to : `docker://${to}`;
  const pushed = await copyImage(context, image, place, options, recompress?.transform);
  return { ...pushed, warnings: [...pushed.warnings, ...((await recompress?.warnings()) ?? [])] };
}

async function recompressingOf({
  compression = "keep",
  referrers = false,
  concurrency,
}: PushOptions): Promise<Recompressing | undefined> {
  if (compression === "keep") return undefined;
  if (referrers) {
    throw new VarveError("USAGE", "what refers to an image does not refer to it compressed another way", {
      hint: "leave out --referrers or --compression",
    });
  }
  const { recompressing } = await import("./recompress.ts");
  return recompressing({ compression, ...(concurrency !== undefined && { concurrency }) });
}

/** What the image is to be called where nobody says so. */
async function nameOf({ store }: TransferContext, image: string): Promise<string> {
  if (!isHeldName(image)) {
    throw new VarveError("USAGE", `${image} does not say what it is to be called in a registry`, {
      hint: `varve push ${image} HOST/NAME:TAG`,
    });
  }
  const [{ name }, ...others] = await findImages(store, image);
  if (others.length === 0) return name;
  const names = [name, ...others.map((other) => other.name)];
  throw new VarveError("USAGE", `${image} has ${names.length} names: ${names.slice(0, 10).join(", ")}`, {
    hint: `choose one: varve push ${name}`,
  });
}
