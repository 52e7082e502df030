/**
 * Opens what a name on the command line means as a source or a sink of images: `docker://` is a registry, a bare reference the
 * store's, the rest are files.
 */
import { VarveError } from "../errors/varve-error.ts";
import { formatReference } from "../oci/reference.ts";
import type { TransferContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import { parseImageName } from "./transports/name.ts";
import { openImageSink, openImageSource } from "./transports/open.ts";
import { RegistrySource } from "./transports/registry.ts";
import { StoreSink, StoreSource } from "./transports/store.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

const FILE_FORM = /^(oci|oci-archive|docker-archive):/;

/** @throws VarveError `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `REFERENCE_INVALID` ... */
export async function openSource(context: TransferContext, text: string): Promise<ImageSource> {
  const { store, registry, signal } = context;
  if (!FILE_FORM.test(text) && !text.startsWith("docker://"))
    return new StoreSource(store, await findImage(store, text));
  const name = parseImageName(text);
  if (name.transport !== "registry") return openImageSource(name, { signal });
  return new RegistrySource({ client: registry, reference: name.reference, signal });
}

export async function openSink(context: TransferContext, text: string): Promise<ImageSink> {
  const name = parseImageName(text);
  if (name.transport !== "registry") return openImageSink(name);
  if (!name.explicit) {
    return StoreSink.open({ store: context.store, name: formatReference(name.reference), signal: context.signal });
  }
  throw new VarveError("USAGE", `varve cannot copy to a registry: ${text}`, {
    hint: "copy to oci:DIR, oci-archive:FILE, docker-archive:FILE, or to the store by a name without docker://",
  });
}
