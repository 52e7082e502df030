/**
 * Opens what a name on the command line means as a source or a sink of images: `docker://` is a registry, a bare reference the
 * store's, the rest are files.
 */
import { VarveError } from "../errors/varve-error.ts";
import { tellTransport } from "../recipe/transport-progress.ts";
import { formatReference } from "../oci/reference.ts";
import type { TransferContext } from "./context.ts";
import { findImage } from "./find-image.ts";
import { readGivenUp } from "./given-up.ts";
import { parseImageName } from "./transports/name.ts";
import { openImageSink, openImageSource } from "./transports/open.ts";
import { RegistrySource } from "./transports/registry.ts";
import { StoreSink, StoreSource, type StoreSourceOptions } from "./transports/store.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

const FILE_FORM = /^(oci|oci-archive|docker-archive):/;

/** @throws VarveError `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `REFERENCE_INVALID` ... */
export async function openSource(context: TransferContext, text: string): Promise<ImageSource> {
  const { registry, signal, onProgress } = context;
  if (!FILE_FORM.test(text) && !text.startsWith("docker://")) return openHeld(context, text);
  const name = parseImageName(text);
  if (name.transport !== "registry") return openImageSource(name, { signal });
  const onEvent = tellTransport(onProgress);
  return new RegistrySource({ client: registry, reference: name.reference, signal, onEvent });
}

/** An image of the store, which nobody can clean up while it is read. */
async function openHeld(context: TransferContext, text: string): Promise<StoreSource> {
  const { store } = context;
  for (;;) {
    const record = await findImage(store, text);
    using held = new DisposableStack();
    for (const digest of new Set([record.manifest.digest, record.descriptor.digest])) held.use(store.locks.use(digest));
    // Whoever has taken it out by now may not have seen that it is held.
    const now = await store.images.get(record.name);
    if (now?.manifest.digest !== record.manifest.digest) continue;
    if (now.descriptor.digest !== record.descriptor.digest) continue;
    const elsewhere: StoreSourceOptions["elsewhere"] = (blob, signal) =>
      readGivenUp(context, record.name, blob, signal);
    return new StoreSource(store, record, { held: held.move(), elsewhere });
  }
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
