/**
 * The documents of an image as Tart writes and takes them (formats "tart" §1): the manifest with config, chunks of the disk and NVRAM in
 * this order, and the stub of an OCI config. Made of the same facts they are the same bytes.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { foundationJson, type FoundationObject } from "./foundation-json.ts";
import { TART_ANNOTATIONS, TART_DISK_FORMAT_LABEL, TART_TYPES } from "./names.ts";

/** Bytes of the disk in a chunk, as Tart has cut it since July 2024; the last one has the rest. */
export const TART_CHUNK_BYTES = 536_870_912;

export interface BlobFacts {
  readonly digest: Digest;
  readonly size: number;
}

export interface ChunkBlob extends BlobFacts {
  /** Bytes of the disk that it holds, and their digest. */
  readonly content: BlobFacts;
}

export interface TartManifestParts {
  /** The stub of an OCI config, see {@link tartConfig}. */
  readonly config: BlobFacts;
  /** The machine's own configuration. */
  readonly vmConfig: BlobFacts;
  /** Of the disk, in its order; at least one. */
  readonly chunks: readonly ChunkBlob[];
  readonly nvram: BlobFacts;
  /** Bytes of the disk. Default: the sum of the chunks. */
  readonly diskSize?: number;
  readonly uploadTime: Date;
}

/**
 * The manifest's bytes.
 * @throws VarveError `USAGE` when there is no chunk; `MANIFEST_TOO_LARGE` when there are too many for registries to take
 */
export function tartManifest(parts: TartManifestParts): Buffer {
  const { config, vmConfig, chunks, nvram, uploadTime } = parts;
  if (chunks.length === 0) throw new VarveError("USAGE", "Tart takes no disk without a byte");
  const { diskSize = chunks.reduce((sum, { content }) => sum + content.size, 0) } = parts;
  const bytes = encode({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: { mediaType: MEDIA_TYPES.ociConfig, size: config.size, digest: config.digest },
    layers: [layer(TART_TYPES.config, vmConfig), ...chunks.map(chunkLayer), layer(TART_TYPES.nvram, nvram)],
    annotations: {
      [TART_ANNOTATIONS.diskSize]: String(diskSize),
      [TART_ANNOTATIONS.uploadTime]: `${uploadTime.toISOString().slice(0, -5)}Z`,
    },
  });
  if (bytes.length <= MAX_DOCUMENT_BYTES) return bytes;
  throw new VarveError("MANIFEST_TOO_LARGE", `a manifest of ${chunks.length} chunks has ${bytes.length} bytes`, {
    hint: "cut the disk into larger chunks",
  });
}

export interface TartConfigParts {
  readonly os: "darwin" | "linux";
  readonly architecture: "arm64" | "amd64";
  readonly diskFormat: "raw" | "asif";
  /** Beside the disk's format. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** The stub of an OCI config, which registries want to see. */
export function tartConfig({ os, architecture, diskFormat, labels = {} }: TartConfigParts): Buffer {
  return encode({ architecture, os, config: { Labels: { ...labels, [TART_DISK_FORMAT_LABEL]: diskFormat } } });
}

function chunkLayer({ content, ...blob }: ChunkBlob): FoundationObject {
  return layer(TART_TYPES.disk, blob, {
    [TART_ANNOTATIONS.size]: String(content.size),
    [TART_ANNOTATIONS.digest]: content.digest,
  });
}

function layer(mediaType: string, { size, digest }: BlobFacts, annotations: FoundationObject = {}): FoundationObject {
  return { mediaType, size, digest, annotations };
}

function encode(document: FoundationObject): Buffer {
  return Buffer.from(foundationJson(document));
}
