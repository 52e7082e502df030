/** Config and manifest of an image that has some more layers than the one it is made from (OCI image-spec "config.md", "manifest.md"). */
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { layerCompression, MEDIA_TYPES } from "../../oci/media-types.ts";
import type { Platform } from "../../oci/platform.ts";
import { parseJson, type JsonObject, type JsonValue } from "../../oci/strict-json.ts";
import type { NewLayer } from "./store-layer.ts";

export interface CommitFacts {
  /** Milliseconds since 1970. */
  readonly createdAt: number;
  readonly author: string | undefined;
  readonly message: string | undefined;
}

/** A document that is to become content. */
export interface NewDocument {
  readonly bytes: Uint8Array;
  readonly descriptor: Descriptor;
}

export interface BaseDocuments {
  readonly manifest: Manifest;
  readonly configBytes: Uint8Array;
}

/**
 * All that the base's config says stays, also what no spec knows; new are the time, the author if one is given, the layers and a line of
 * history for each of them. A base that tells less history than it has layers gets empty lines for the others, so that lines and layers
 * can be told apart.
 */
export function newConfig(
  base: BaseDocuments | undefined,
  platform: Platform,
  layers: readonly NewLayer[],
  { createdAt, author, message }: CommitFacts,
): NewDocument {
  const created = new Date(createdAt).toISOString().replace(".000Z", "Z");
  const { architecture, os, variant } = platform;
  const start: JsonObject =
    base === undefined
      ? { architecture, os, ...(variant !== undefined && { variant }), config: {} }
      : objectOf(parseJson(base.configBytes, "image config", { code: "CONFIG_INVALID" }));
  const rootfs = objectOf(start["rootfs"] ?? {});
  const diffIds = arrayOf(rootfs["diff_ids"]);
  const history = arrayOf(start["history"]);
  const told = history.filter((line) => objectOf(line)["empty_layer"] !== true).length;
  const untold = Array.from({ length: Math.max(0, diffIds.length - told) }, (): JsonObject => ({}));
  const line: JsonObject = {
    created,
    created_by: "varve commit",
    ...(author !== undefined && { author }),
    ...(message !== undefined && { comment: message }),
  };
  const config: JsonObject = {
    ...start,
    created,
    ...(author !== undefined && { author }),
    rootfs: { ...rootfs, type: "layers", diff_ids: [...diffIds, ...layers.map(({ diffId }): string => diffId)] },
    history: [...history, ...untold, ...layers.map(() => line)],
  };
  return documentOf(config, MEDIA_TYPES.ociConfig);
}

/** In OCI's types, whatever the base's are; its annotations stay. */
export function newManifest(
  base: BaseDocuments | undefined,
  config: Descriptor,
  layers: readonly NewLayer[],
): NewDocument {
  const own = layers.map(({ descriptor }) => descriptor);
  const below = (base?.manifest.layers ?? []).map(inOciType);
  const annotations = base?.manifest.annotations;
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config,
    layers: [...below, ...own],
    ...(annotations !== undefined && { annotations }),
  };
  return documentOf(manifest, MEDIA_TYPES.ociManifest);
}

const OCI_TYPES = { none: MEDIA_TYPES.ociLayer, gzip: MEDIA_TYPES.ociLayerGzip, zstd: MEDIA_TYPES.ociLayerZstd };

/** Docker's types of layers have twins, except those that may not be distributed, which keep theirs. */
function inOciType(layer: Descriptor): Descriptor {
  const compression = layerCompression(layer.mediaType);
  const isDockers = layer.mediaType.startsWith("application/vnd.docker.image.rootfs.diff.");
  return isDockers && compression !== "unknown" ? { ...layer, mediaType: OCI_TYPES[compression] } : layer;
}

function documentOf(value: object, mediaType: string): NewDocument {
  const bytes = Buffer.from(JSON.stringify(value));
  const digest: Digest = digestOf(bytes);
  return { bytes, descriptor: { mediaType, digest, size: bytes.length } };
}

function objectOf(value: JsonValue): JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? value : {};
}

function arrayOf(value: JsonValue | undefined): JsonValue[] {
  return Array.isArray(value) ? value : [];
}
