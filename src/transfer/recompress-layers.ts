/** Layers that are to be compressed another way: which are, where their bytes are, and what describes the new ones. */
import type { LayerCompressionKind } from "../codec/layer-compressions.ts";
import { ZSTD_CHUNKED_ANNOTATIONS } from "../codec/zstd-chunked/annotations.ts";
import type { RecompressedLayer } from "../layer/recompress-layer.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { layerCompression, MEDIA_TYPES } from "../oci/media-types.ts";
import { UnnamedFile } from "./commit/unnamed-file.ts";
import type { TransferContext } from "./context.ts";
import { heldTar } from "./held-tar.ts";
import { StoreSource } from "./transports/store.ts";
import type { ImageSource } from "./transports/types.ts";

/** Layers that somebody may not be allowed to distribute are nobody's to change. */
const FOREIGN: ReadonlySet<string> = new Set([
  MEDIA_TYPES.ociForeignLayer,
  MEDIA_TYPES.ociForeignLayerGzip,
  MEDIA_TYPES.ociForeignLayerZstd,
  MEDIA_TYPES.dockerForeignLayer,
  MEDIA_TYPES.dockerForeignLayerGzip,
]);

const { podman, nerdctl } = ZSTD_CHUNKED_ANNOTATIONS;

/** Annotations that are about the blob as it was. */
const OF_THE_BLOB = [
  "io.github.containers.zstd-chunked.",
  "io.containers.zstd-chunked.",
  "containerd.io/snapshot/stargz/",
  "io.containers.estargz.",
];

/** Whether a layer stays as it is: compressed as asked for, or none that can be compressed another way. */
export function isKept({ mediaType, annotations = {} }: Descriptor, compression: LayerCompressionKind): boolean {
  const now = layerCompression(mediaType);
  if (FOREIGN.has(mediaType) || now === "unknown") return true;
  if (compression !== "zstd:chunked") return now === compression;
  const isPodmans = annotations[podman.tocDigest] !== undefined && annotations[nerdctl.plainTocDigest] === undefined;
  return now === "zstd" && isPodmans;
}

/** Of the new layer. All that the old one says stays, but what was about its blob. */
export function newDescriptor(
  layer: Descriptor,
  manifest: Manifest,
  compression: LayerCompressionKind,
  { digest, size, annotations: made }: RecompressedLayer,
): Descriptor {
  const isDockers = manifest.mediaType === MEDIA_TYPES.dockerManifest;
  const gzip = isDockers ? MEDIA_TYPES.dockerLayerGzip : MEDIA_TYPES.ociLayerGzip;
  const mediaType = compression === "gzip" ? gzip : MEDIA_TYPES.ociLayerZstd;
  const old = Object.entries(layer.annotations ?? {}).filter(
    ([key]) => !OF_THE_BLOB.some((own) => key.startsWith(own)),
  );
  const annotations = { ...Object.fromEntries(old), ...made };
  return { mediaType, digest, size, ...(Object.keys(annotations).length > 0 && { annotations }) };
}

/** A layer's bytes as a file. */
export interface LayerFile extends AsyncDisposable {
  readonly path: string;
  readonly size: number;
  /** Whether the file is the tar itself, whatever it begins with. */
  readonly isTar: boolean;
}

/**
 * The layer where the store has it: as its blob, or as the tar that it was unpacked to. Else its blob is read into a file without a name.
 * @throws VarveError as the source; `NO_SPACE`
 */
export async function openLayerFile(
  { store, signal }: TransferContext,
  source: ImageSource,
  layer: Descriptor,
  diffId: Digest,
): Promise<LayerFile> {
  const nothing = { [Symbol.asyncDispose]: () => Promise.resolve() };
  if (source instanceof StoreSource) {
    const blob = await store.content.stat(layer.digest);
    if (blob?.size === layer.size)
      return { path: store.content.pathOf(layer.digest), size: blob.size, isTar: false, ...nothing };
    const tar = await heldTar(store, diffId);
    if (tar !== undefined) return { ...tar, isTar: true, ...nothing };
  }
  await using stack = new AsyncDisposableStack();
  const file = stack.use(await UnnamedFile.create(store.root));
  for await (const chunk of source.blob(layer, signal)) {
    signal.throwIfAborted();
    await file.append(chunk);
  }
  const owned = stack.move();
  return { path: file.path, size: file.size, isTar: false, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}
