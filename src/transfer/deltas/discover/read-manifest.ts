/**
 * Delta manifests, read (formats "tar-diff" §2): which layers they have deltas for, and from what. They are from outside and not signed: nothing of
 * them is relied upon but what a wrong DiffID would bring to light.
 */
import { VarveError } from "../../../errors/varve-error.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_TARGET,
  DELTA_TO,
  LIBRSYNC_MEDIA_TYPE,
  TAR_DIFF_MEDIA_TYPE,
  VARVE_DELTA_BASE,
  VARVE_DELTA_SIZE,
} from "../../../oci/delta-names.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../../oci/digest.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import type { LayerDelta } from "../types.ts";

/** Of one manifest; those of all bases of an image of a hundred layers are fewer. */
const MOST_DELTAS = 2000;
/** Layers of a base. No runtime mounts so many. */
export const MOST_BASES = 512;

/** A delta as its manifest has it. */
export interface ListedDelta {
  readonly how: LayerDelta["how"];
  readonly blob: Descriptor;
  /** DiffIDs; of a tar-diff's only base perhaps the digest of its blob. */
  readonly from: readonly Digest[];
  /** DiffID of the layer that it makes, or the digest of its blob. */
  readonly to: Digest;
  /** Bytes of the layer's tar, where that is said. */
  readonly size?: number;
}

/**
 * What a manifest has of deltas for an image. Layers that are none, or do not say from what to what, are passed over.
 * @param target digest of the image's manifest
 * @throws VarveError `DELTA_INVALID` when it has deltas for another image, or none at all, or too many
 */
export function readDeltaManifest(manifest: Manifest, target: Digest): readonly ListedDelta[] {
  const { config, artifactType, annotations, subject, layers, digest } = manifest;
  if (config.mediaType !== DELTA_CONFIG_MEDIA_TYPE && artifactType !== DELTA_CONFIG_MEDIA_TYPE) {
    throw new VarveError("DELTA_INVALID", `manifest ${digest} is none of deltas`);
  }
  const said = [annotations?.[DELTA_TARGET], subject?.digest].filter((one) => one !== undefined);
  if (said.length === 0 || said.some((one) => one !== target)) {
    throw new VarveError("DELTA_INVALID", `manifest ${digest} has no deltas for ${target}`);
  }
  if (layers.length > MOST_DELTAS) {
    throw new VarveError(
      "DELTA_INVALID",
      `manifest ${digest} names ${layers.length} deltas, and ${MOST_DELTAS} are read`,
    );
  }
  return layers.flatMap((layer) => readLayer(layer) ?? []);
}

function readLayer(layer: Descriptor): ListedDelta | undefined {
  const { mediaType, annotations = {} } = layer;
  const to = annotations[DELTA_TO];
  const isTarDiff = mediaType === TAR_DIFF_MEDIA_TYPE;
  if ((!isTarDiff && mediaType !== LIBRSYNC_MEDIA_TYPE) || !isDigest(to)) return undefined;
  const from = isTarDiff ? readBases(annotations[DELTA_FROM], 1) : readBases(annotations[VARVE_DELTA_BASE]);
  if (from === undefined) return undefined;
  const size = readSize(annotations[VARVE_DELTA_SIZE]);
  const how = isTarDiff ? "tar-diff" : "librsync-delta";
  // Where else they may be had is nobody's business: credentials, and what is asked for, stay with the registry.
  const { digest, size: bytes } = layer;
  const blob: Descriptor = { mediaType, digest, size: bytes };
  return { how, blob, from, to, ...(size !== undefined && { size }) };
}

/** A list of DiffIDs as annotations have it; undefined when it is none. */
export function readBases(text: string | undefined, most = MOST_BASES): readonly Digest[] | undefined {
  const bases = text?.split(" ", most + 1);
  return bases !== undefined && bases.length <= most && bases.every(isDigest) ? bases : undefined;
}

/** Bytes as annotations have them; undefined where they are none. */
export function readSize(text: string | undefined): number | undefined {
  const size = text !== undefined && /^(0|[1-9]\d{0,15})$/.test(text) ? Number(text) : undefined;
  return Number.isSafeInteger(size) ? size : undefined;
}
