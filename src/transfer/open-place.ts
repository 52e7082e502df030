/**
 * Opens what a name on the command line means as a source or a sink of images: `docker://` is a registry, a bare reference the
 * store's, the rest are files.
 */
import { VarveError } from "../errors/varve-error.ts";
import { tellTransport } from "../recipe/transport-progress.ts";
import type { Digest } from "../oci/digest.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import type { TransportEvent } from "../registry/blob-source.ts";
import { BlobHomes } from "./blob-homes.ts";
import type { TransferContext } from "./context.ts";
import type { GivenChunks } from "./disks/give-chunk.ts";
import { findImage } from "./find-image.ts";
import { readGivenUp } from "./given-up.ts";
import { parseImageName } from "./transports/name.ts";
import { openImageSink, openImageSource } from "./transports/open.ts";
import { RegistrySource } from "./transports/registry.ts";
import { StoreSource, type StoreSourceOptions } from "./transports/store.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

const FILE_FORM = /^(oci|oci-archive|docker-archive):/;

export interface OpenPlaceOptions {
  /** Told of what registries are asked, and which blob it is about where it is about one. Default: what there is to tell users is told. */
  readonly onEvent?: (event: TransportEvent, digest?: Digest) => void;
}

/** @throws VarveError `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `REFERENCE_INVALID` ... */
export async function openSource(
  context: TransferContext,
  text: string,
  options: OpenPlaceOptions = {},
): Promise<ImageSource> {
  const { registry, signal, onProgress } = context;
  const { onEvent = tellTransport(onProgress) } = options;
  if (isHeldName(text)) return openHeld(context, text, onEvent);
  const name = parseImageName(text);
  if (name.transport !== "registry") return openImageSource(name, { signal });
  return new RegistrySource({ client: registry, reference: name.reference, signal, onEvent });
}

/** Whether a name as a source means an image of the store. */
export function isHeldName(text: string): boolean {
  return !FILE_FORM.test(text) && !text.startsWith("docker://");
}

/** An image of the store, which nobody can clean up while it is read. */
async function openHeld(
  context: TransferContext,
  text: string,
  onEvent: NonNullable<OpenPlaceOptions["onEvent"]>,
): Promise<StoreSource> {
  const { store } = context;
  for (;;) {
    const record = await findImage(store, text);
    using held = new DisposableStack();
    for (const digest of new Set([record.manifest.digest, record.descriptor.digest])) held.use(store.locks.use(digest));
    // Whoever has taken it out by now may not have seen that it is held.
    const now = await store.images.get(record.name);
    if (now?.manifest.digest !== record.manifest.digest) continue;
    if (now.descriptor.digest !== record.descriptor.digest) continue;
    let chunks: Promise<GivenChunks> | undefined;
    const openChunks = (): Promise<GivenChunks> =>
      (chunks ??= import("./disks/give-chunk.ts").then(({ GivenChunks }) => new GivenChunks(context)));
    const elsewhere: StoreSourceOptions["elsewhere"] = (blob, { start, signal }) => {
      const tell = (event: TransportEvent): void => onEvent(event, blob.digest);
      return readGivenUp(context, record.name, blob, { start, signal, chunks: openChunks, onEvent: tell });
    };
    return new StoreSource(store, record, { held: held.move(), elsewhere });
  }
}

export interface OpenSinkOptions extends OpenPlaceOptions {
  /** Where what is put comes from: a registry may take blobs from another repository of its own. */
  readonly from?: string;
  /** Whether what refers to images is to be put. Default false. */
  readonly referrers?: boolean;
  /** Bytes of each request of an upload. Default: as many as the registry takes. */
  readonly chunkSize?: number;
}

/** @throws VarveError `USAGE` for a place that cannot take what is to be put, `TARGET_NOT_EMPTY`, `REFERENCE_INVALID` ... */
export async function openSink(
  context: TransferContext,
  text: string,
  options: OpenSinkOptions = {},
): Promise<ImageSink> {
  const { store, signal } = context;
  const name = parseImageName(text);
  if (name.transport === "docker-archive" && options.referrers === true) throw holdsNoReferrers();
  if (name.transport !== "registry") return openImageSink(name);
  if (name.explicit) return openRegistrySink(context, name.reference, options);
  const { StoreSink } = await import("./transports/store-sink.ts");
  return StoreSink.open({ store, name: formatReference(name.reference), signal });
}

async function openRegistrySink(
  { store, registry, signal, onProgress }: TransferContext,
  reference: Reference,
  { from, onEvent = tellTransport(onProgress), chunkSize }: OpenSinkOptions,
): Promise<ImageSink> {
  const { RegistrySink } = await import("./transports/registry-sink.ts");
  const source = from?.startsWith("docker://") === true ? [parseReference(from)] : [];
  const homes = new BlobHomes(store, reference.host);
  return new RegistrySink({
    uploads: registry.uploads(reference),
    reference,
    signal,
    onEvent,
    homesOf: async (digest) => [...source, ...(await homes.of(digest))],
    ...(chunkSize !== undefined && { chunkSize }),
  });
}

function holdsNoReferrers(): VarveError {
  return new VarveError("USAGE", "a docker-archive cannot hold what refers to an image", {
    hint: "leave out --referrers, or copy to oci-archive: instead",
  });
}
