/**
 * Manifests and indexes of an image whose layers are compressed another way. All that they say otherwise stays, also what no spec knows; where
 * layers are of types that Docker's documents have no name for, they become OCI's.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { layerCompression, MEDIA_TYPES } from "../oci/media-types.ts";
import type { JsonObject, JsonValue } from "../oci/strict-json.ts";

/** On descriptors of attestations: which manifest they are about. */
const ABOUT = "vnd.docker.reference.digest";

/** On descriptors of manifests in an index, by podman: that their layers are zstd. */
const IS_ZSTD = "io.github.containers.compression.zstd";

/** What a descriptor says of the very bytes: where else they are, and what they are. */
const OF_THE_BYTES: ReadonlySet<string> = new Set(["data", "urls"]);

const OCI_TYPES: Readonly<Record<string, string>> = {
  [MEDIA_TYPES.dockerIndex]: MEDIA_TYPES.ociIndex,
  [MEDIA_TYPES.dockerManifest]: MEDIA_TYPES.ociManifest,
  [MEDIA_TYPES.dockerConfig]: MEDIA_TYPES.ociConfig,
  [MEDIA_TYPES.dockerLayer]: MEDIA_TYPES.ociLayer,
  [MEDIA_TYPES.dockerLayerGzip]: MEDIA_TYPES.ociLayerGzip,
  [MEDIA_TYPES.dockerLayerZstd]: MEDIA_TYPES.ociLayerZstd,
  [MEDIA_TYPES.dockerForeignLayer]: MEDIA_TYPES.ociForeignLayer,
  [MEDIA_TYPES.dockerForeignLayerGzip]: MEDIA_TYPES.ociForeignLayerGzip,
};

/** Docker's manifests know no zstd. */
export function mustBecomeOci(manifest: Manifest, layers: readonly Descriptor[]): boolean {
  return manifest.mediaType === MEDIA_TYPES.dockerManifest && layers.some(hasZstd);
}

/** The new manifest's bytes; undefined when nothing changes. */
export function newManifest(manifest: Manifest, layers: readonly Descriptor[]): Uint8Array | undefined {
  if (layers.every((layer, index) => layer === manifest.layers[index])) return undefined;
  const toOci = mustBecomeOci(manifest, layers);
  const type = (mediaType: string): string => (toOci ? (OCI_TYPES[mediaType] ?? mediaType) : mediaType);
  const before = read(manifest);
  const config = before["config"] as JsonObject;
  const old = before["layers"] as JsonObject[];
  return write({
    ...before,
    mediaType: type(manifest.mediaType),
    config: { ...config, mediaType: type(manifest.config.mediaType) },
    layers: layers.map((layer, index): JsonValue => {
      const { mediaType, digest, size, annotations } = layer;
      const before = old[index]!;
      if (layer === manifest.layers[index]) return { ...before, mediaType: type(mediaType) };
      const { annotations: _, ...rest } = ofOtherBytes(before);
      return { ...rest, mediaType: type(mediaType), digest, size, ...(annotations !== undefined && { annotations }) };
    }),
  });
}

/** The new index' bytes; undefined when nothing changes. */
export function newIndex(index: Index, converted: ReadonlyMap<Digest, Manifest | Index>): Uint8Array | undefined {
  const isSame = [...converted].every(([digest, document]) => document.digest === digest);
  if (isSame) return undefined;
  const children = index.manifests.map(({ digest, mediaType }) => converted.get(digest)?.mediaType ?? mediaType);
  const isMixed = children.some((type) => type === MEDIA_TYPES.ociManifest || type === MEDIA_TYPES.ociIndex);
  const before = read(index);
  const manifests = before["manifests"] as JsonObject[];
  return write({
    ...before,
    mediaType: isMixed ? (OCI_TYPES[index.mediaType] ?? index.mediaType) : index.mediaType,
    manifests: manifests.map((child, position): JsonValue => {
      const document = converted.get(index.manifests[position]!.digest);
      const isNew = document !== undefined && document.digest !== child["digest"];
      return aboutNew(isNew ? renewed(child, document) : child, converted);
    }),
  });
}

function renewed(child: JsonObject, document: Manifest | Index): JsonObject {
  const { mediaType, digest, bytes } = document;
  const of = { ...ofOtherBytes(child), mediaType, digest, size: bytes.length };
  const isZstd = document.kind === "manifest" && document.layers.some(hasZstd);
  const { [IS_ZSTD]: marked, ...annotations } = (child["annotations"] ?? {}) as JsonObject;
  return marked === undefined || isZstd ? of : { ...of, annotations };
}

function hasZstd({ mediaType }: Descriptor): boolean {
  return layerCompression(mediaType) === "zstd";
}

function ofOtherBytes(descriptor: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(descriptor).filter(([key]) => !OF_THE_BYTES.has(key)));
}

function aboutNew(child: JsonObject, converted: ReadonlyMap<Digest, Manifest | Index>): JsonObject {
  const annotations = child["annotations"] as JsonObject | undefined;
  const about = annotations?.[ABOUT];
  const now = typeof about === "string" ? converted.get(about as Digest) : undefined;
  return now === undefined ? child : { ...child, annotations: { ...annotations, [ABOUT]: now.digest } };
}

/** The document has been parsed before: its names are unique, and it is an object. */
function read({ bytes }: Manifest | Index): JsonObject {
  return exactJson.parse(Buffer.from(bytes).toString(), (_key, value, { source }) => {
    // Numbers that are more exact than JavaScript's, or spelled another way, stay as they are spelled.
    const isOdd = typeof value === "number" && source !== undefined && source !== String(value);
    return isOdd ? exactJson.rawJSON(source) : value;
  }) as JsonObject;
}

/** The compiler does not know these forms yet. */
const exactJson = JSON as unknown as {
  parse(text: string, revive: (key: string, value: unknown, context: { readonly source?: string }) => unknown): unknown;
  rawJSON(text: string): unknown;
};

function write(document: JsonObject): Uint8Array {
  return Buffer.from(JSON.stringify(document));
}
