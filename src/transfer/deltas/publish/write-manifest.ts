/** Delta manifests, written (formats "tar-diff" §2): equal deltas give equal bytes. */
import { VarveError } from "../../../errors/varve-error.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_TARGET,
  DELTA_TO,
  LIBRSYNC_MEDIA_TYPE,
  TAR_DIFF_MEDIA_TYPE,
  VARVE_DELTA_BASE,
  VARVE_DELTA_FORMAT,
  VARVE_DELTA_SIZE,
} from "../../../oci/delta-names.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest, type Manifest } from "../../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../../oci/media-types.ts";
import type { LayerDelta } from "../types.ts";

/** The config of delta manifests. */
export const DELTA_CONFIG: Uint8Array = Buffer.from("{}");

/** What a manifest says of one delta. */
export interface WrittenDelta {
  readonly how: LayerDelta["how"];
  /** As it is: for librsync the gzip'd tar of the delta image's layer, for tar-diff the file. */
  readonly blob: { readonly digest: Digest; readonly size: number };
  /** DiffIDs of what it copies from: the base's layers, bottom to top (librsync), or one layer (tar-diff). */
  readonly base: readonly Digest[];
  /** DiffID of the layer that it makes. */
  readonly to: Digest;
  /** Bytes of that layer's tar. */
  readonly size: number;
}

/**
 * @param target the image's manifest
 * @param base DiffIDs of the layers of the image that the deltas are taken from, bottom to top: who has none of them need not read on
 * @throws VarveError `MANIFEST_TOO_LARGE`
 */
export function writeDeltaManifest(
  { mediaType, digest, size }: Descriptor,
  base: readonly Digest[],
  deltas: readonly WrittenDelta[],
): Manifest {
  const config = { mediaType: DELTA_CONFIG_MEDIA_TYPE, digest: digestOf(DELTA_CONFIG), size: DELTA_CONFIG.length };
  const document = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    artifactType: DELTA_CONFIG_MEDIA_TYPE,
    config,
    layers: deltas.map(layerOf),
    subject: { mediaType, digest, size },
    annotations: {
      [DELTA_TARGET]: digest,
      [VARVE_DELTA_BASE]: base.join(" "),
      [VARVE_DELTA_FORMAT]: deltas.some(({ how }) => how === "tar-diff") ? "tar-diff" : "librsync",
    },
  };
  const bytes = Buffer.from(JSON.stringify(document));
  if (bytes.length > MAX_DOCUMENT_BYTES) {
    throw new VarveError("MANIFEST_TOO_LARGE", `${deltas.length} deltas do not fit in a manifest`);
  }
  return parseManifest(bytes, { contentType: MEDIA_TYPES.ociManifest }) as Manifest;
}

function layerOf({ how, blob, base, to, size }: WrittenDelta): Descriptor {
  const isTarDiff = how === "tar-diff";
  return {
    mediaType: isTarDiff ? TAR_DIFF_MEDIA_TYPE : LIBRSYNC_MEDIA_TYPE,
    digest: blob.digest,
    size: blob.size,
    annotations: {
      [isTarDiff ? DELTA_FROM : VARVE_DELTA_BASE]: base.join(" "),
      [DELTA_TO]: to,
      [VARVE_DELTA_SIZE]: String(size),
    },
  };
}

/** The config as one of the blobs to be put. */
export const configDelta = {
  blob: { digest: digestOf(DELTA_CONFIG), size: DELTA_CONFIG.length },
  open: async function* (start: number): AsyncGenerator<Uint8Array> {
    yield DELTA_CONFIG.slice(start);
  },
};
