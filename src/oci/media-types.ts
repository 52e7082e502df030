/**
 * The one table of media types, OCI image-spec "media-types.md" and Docker's "Image Manifest V2, Schema 2", and what
 * each of them says about the bytes it names.
 */
export const MEDIA_TYPES = {
  ociIndex: "application/vnd.oci.image.index.v1+json",
  ociManifest: "application/vnd.oci.image.manifest.v1+json",
  ociConfig: "application/vnd.oci.image.config.v1+json",
  ociEmpty: "application/vnd.oci.empty.v1+json",
  ociLayer: "application/vnd.oci.image.layer.v1.tar",
  ociLayerGzip: "application/vnd.oci.image.layer.v1.tar+gzip",
  ociLayerZstd: "application/vnd.oci.image.layer.v1.tar+zstd",
  ociForeignLayer: "application/vnd.oci.image.layer.nondistributable.v1.tar",
  ociForeignLayerGzip: "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  ociForeignLayerZstd: "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
  dockerIndex: "application/vnd.docker.distribution.manifest.list.v2+json",
  dockerManifest: "application/vnd.docker.distribution.manifest.v2+json",
  dockerConfig: "application/vnd.docker.container.image.v1+json",
  dockerLayer: "application/vnd.docker.image.rootfs.diff.tar",
  dockerLayerGzip: "application/vnd.docker.image.rootfs.diff.tar.gzip",
  dockerLayerZstd: "application/vnd.docker.image.rootfs.diff.tar.zstd",
  dockerForeignLayer: "application/vnd.docker.image.rootfs.foreign.diff.tar",
  dockerForeignLayerGzip: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  dockerSchema1: "application/vnd.docker.distribution.manifest.v1+json",
  dockerSchema1Signed: "application/vnd.docker.distribution.manifest.v1+prettyjws",
} as const;

export type LayerCompression = "none" | "gzip" | "zstd" | "unknown";

const INDEX_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerIndex]);
const MANIFEST_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest]);
const CONFIG_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociConfig, MEDIA_TYPES.dockerConfig]);
const SCHEMA1_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.dockerSchema1, MEDIA_TYPES.dockerSchema1Signed]);

const LAYER_TYPES: ReadonlyMap<string, LayerCompression> = new Map([
  [MEDIA_TYPES.ociLayer, "none"],
  [MEDIA_TYPES.ociLayerGzip, "gzip"],
  [MEDIA_TYPES.ociLayerZstd, "zstd"],
  [MEDIA_TYPES.ociForeignLayer, "none"],
  [MEDIA_TYPES.ociForeignLayerGzip, "gzip"],
  [MEDIA_TYPES.ociForeignLayerZstd, "zstd"],
  [MEDIA_TYPES.dockerLayer, "none"],
  [MEDIA_TYPES.dockerLayerGzip, "gzip"],
  [MEDIA_TYPES.dockerLayerZstd, "zstd"],
  [MEDIA_TYPES.dockerForeignLayer, "none"],
  [MEDIA_TYPES.dockerForeignLayerGzip, "gzip"],
]);

/** The `Accept` header for manifest requests: every kind of manifest and index that varve reads. */
export const ACCEPT_MANIFESTS: string = [...INDEX_TYPES, ...MANIFEST_TYPES].join(", ");

export function isIndexType(type: string): boolean {
  return INDEX_TYPES.has(type);
}

export function isManifestType(type: string): boolean {
  return MANIFEST_TYPES.has(type);
}

/** The config of a runnable image; artifacts have others. */
export function isConfigType(type: string): boolean {
  return CONFIG_TYPES.has(type);
}

export function isSchema1Type(type: string): boolean {
  return SCHEMA1_TYPES.has(type);
}

export function isLayerType(type: string): boolean {
  return LAYER_TYPES.has(type);
}

/** What the type claims; Docker's and OCI's gzip types are known to stand on plain tars too, so content is sniffed. */
export function layerCompression(type: string): LayerCompression {
  return LAYER_TYPES.get(type) ?? "unknown";
}

/** `application/json; charset=utf-8` → `application/json`, in lower case as RFC 9110 §8.3.1 has types insensitive. */
export function stripParameters(contentType: string): string {
  const semicolon = contentType.indexOf(";");
  return (semicolon < 0 ? contentType : contentType.slice(0, semicolon)).trim().toLowerCase();
}
