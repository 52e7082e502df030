/**
 * The manifest that refers to an image of disks and has the indexes of its chunks as layers (image-spec "manifest.md", "Guidelines for Artifact
 * Usage"): one for each chunk's blob that has an index, in the order of the image.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, isDigest, type Digest } from "../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, type Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";

/** Of the referrer's manifest, as its `artifactType`. */
export const DISK_INDEX_TYPE = "application/vnd.varve.disk.index.v1";
/** Of its layers. */
const CHUNK_INDEX_TYPE = "application/vnd.varve.disk.chunk-index.v1";
/** On each layer: the digest of the blob that it is the index of. */
const CHUNK_ANNOTATION = "org.varve.disk.chunk";

/** The config of manifests that have none. */
export const EMPTY_CONFIG: Uint8Array = Buffer.from("{}");

export interface IndexedChunk {
  /** Of the chunk's blob. */
  readonly chunk: Digest;
  readonly index: { readonly digest: Digest; readonly size: number };
}

/** The manifest's bytes. @throws VarveError `MANIFEST_TOO_LARGE` */
export function writeIndexManifest(
  { mediaType, digest, size }: Descriptor,
  indexes: readonly IndexedChunk[],
): Uint8Array {
  const config = { mediaType: MEDIA_TYPES.ociEmpty, digest: digestOf(EMPTY_CONFIG), size: EMPTY_CONFIG.length };
  const layers = indexes.map(({ chunk, index }) => ({
    mediaType: CHUNK_INDEX_TYPE,
    digest: index.digest,
    size: index.size,
    annotations: { [CHUNK_ANNOTATION]: chunk },
  }));
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType: DISK_INDEX_TYPE,
    config,
    layers,
    subject: { mediaType, digest, size },
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  if (bytes.length <= MAX_DOCUMENT_BYTES) return bytes;
  throw new VarveError("MANIFEST_TOO_LARGE", `the indexes of ${layers.length} chunks do not fit in a manifest`);
}

/**
 * The indexes' blobs by the digests of the chunks' blobs. Layers that are none are passed over.
 * @throws VarveError `TOC_INVALID` when it is no such manifest, or refers to another image, or names two indexes of one chunk
 */
export function readIndexManifest(manifest: Manifest, subject: Digest): ReadonlyMap<Digest, Descriptor> {
  if (manifest.artifactType !== DISK_INDEX_TYPE) throw invalid(manifest, "is no index of disks");
  if (manifest.subject?.digest !== subject) throw invalid(manifest, `does not refer to ${subject}`);
  const indexes = new Map<Digest, Descriptor>();
  for (const layer of manifest.layers) {
    const chunk = layer.annotations?.[CHUNK_ANNOTATION];
    if (layer.mediaType !== CHUNK_INDEX_TYPE || !isDigest(chunk)) continue;
    if (indexes.has(chunk)) throw invalid(manifest, `has two indexes of ${chunk}`);
    indexes.set(chunk, layer);
  }
  return indexes;
}

function invalid({ digest }: Manifest, what: string): VarveError {
  return new VarveError("TOC_INVALID", `manifest ${digest} ${what}`);
}
