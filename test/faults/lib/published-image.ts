/** An image in a registry, without the bytes that it was made of: what a pull has to end in. */
import type { Descriptor } from "../../../src/oci/descriptor.ts";
import type { Digest } from "../../../src/oci/digest.ts";
import type { KitImage } from "../../kit/images/build-image.ts";
import { pushImage } from "../../kit/images/push-image.ts";

export interface PublishedImage {
  /** Repository and tag. */
  readonly name: string;
  readonly tag: string;
  readonly digest: Digest;
  readonly config: Digest;
  readonly layers: readonly (Descriptor & { readonly diffId: Digest })[];
  /** Bytes of everything that a first pull has to fetch. */
  readonly bytes: number;
}

export async function publish(host: string, name: string, tag: string, image: KitImage): Promise<PublishedImage> {
  await pushImage(host, name, tag, image);
  const layers = image.layers.map(({ descriptor, diffId }) => ({ ...descriptor, diffId }));
  const layerBytes = layers.reduce((sum, { size }) => sum + size, 0);
  const bytes = layerBytes + image.config.bytes.length + image.bytes.length;
  return { name, tag, digest: image.digest, config: image.config.digest, layers, bytes };
}
