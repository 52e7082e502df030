/** What the manifest of a delta says of it, whichever of the two kinds it is. Nothing of it is checked against what the deltas make. */
import { VarveError } from "../../errors/varve-error.ts";
import { parseImageConfig } from "../../oci/config.ts";
import {
  DELTA_CONFIG_MEDIA_TYPE,
  DELTA_FROM,
  DELTA_TARGET,
  DELTA_TO,
  LIBRSYNC_MEDIA_TYPE,
  TAR_DIFF_MEDIA_TYPE,
  VARVE_DELTA_BASE,
  VARVE_DELTA_SIZE,
} from "../../oci/delta-names.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { isConfigType } from "../../oci/media-types.ts";
import { readConfigBytes } from "../open-image.ts";
import type { ImageSource } from "../transports/types.ts";
import { isDeltaImage, readDeltaImage } from "./delta-image.ts";
import type { DeltaDetails, InspectedLayer } from "./inspect-types.ts";

export interface ToldLayer {
  readonly diffId: Digest;
  readonly how: InspectedLayer["how"];
  readonly blob: Descriptor;
  /** Digests of what it is taken from; null for all of the base. */
  readonly from: readonly Digest[] | null;
  /** Bytes of the layer's tar. */
  readonly size: number | null;
}

export interface ToldDelta {
  readonly kind: DeltaDetails["kind"];
  readonly baseId: Digest | null;
  readonly base: readonly Digest[] | null;
  readonly targetId: Digest | null;
  readonly targetManifest: Digest | null;
  readonly layers: readonly ToldLayer[];
}

/** @throws VarveError `USAGE` for an image that is no delta, `DELTA_IMAGE_INVALID`; as the source */
export async function readTold(
  source: ImageSource,
  manifest: Manifest,
  name: string,
  signal: AbortSignal,
): Promise<ToldDelta> {
  if (manifest.artifactType === DELTA_CONFIG_MEDIA_TYPE || manifest.config.mediaType === DELTA_CONFIG_MEDIA_TYPE) {
    return listOf(manifest);
  }
  if (!isConfigType(manifest.config.mediaType)) throw noDelta(name);
  const config = parseImageConfig(await readConfigBytes(source, manifest, signal), { expected: manifest.config });
  if (!isDeltaImage(config)) throw noDelta(name);
  const image = readDeltaImage(manifest, config);
  return {
    kind: "image",
    baseId: image.baseId,
    base: image.base ?? null,
    targetId: image.target.digest,
    targetManifest: image.targetManifest ?? null,
    layers: image.layers.map(({ diffId, blob, isEmpty, size = null }) => {
      return { diffId, blob, how: isEmpty ? "common" : "librsync-delta", from: null, size };
    }),
  };
}

/** Layers of kinds that nobody here knows are left out. */
function listOf(manifest: Manifest): ToldDelta {
  const { annotations = {}, subject } = manifest;
  const target = annotations[DELTA_TARGET];
  const base = digestsOf(annotations[VARVE_DELTA_BASE]);
  return {
    kind: "list",
    baseId: null,
    base: base.length > 0 ? base : null,
    targetId: null,
    targetManifest: target !== undefined && isDigest(target) ? target : (subject?.digest ?? null),
    layers: manifest.layers.flatMap(layerOf),
  };
}

function layerOf(blob: Descriptor): ToldLayer[] {
  const { mediaType, annotations = {} } = blob;
  const to = annotations[DELTA_TO];
  const isTarDiff = mediaType === TAR_DIFF_MEDIA_TYPE;
  if (to === undefined || !isDigest(to) || !(isTarDiff || mediaType === LIBRSYNC_MEDIA_TYPE)) return [];
  const from = digestsOf(annotations[isTarDiff ? DELTA_FROM : VARVE_DELTA_BASE]);
  const size = Number(annotations[VARVE_DELTA_SIZE] ?? Number.NaN);
  const how = isTarDiff ? "tar-diff" : "librsync-delta";
  return [{ diffId: to, how, blob, from, size: Number.isSafeInteger(size) && size >= 0 ? size : null }];
}

function digestsOf(text = ""): Digest[] {
  return text.split(" ").filter((word): word is Digest => isDigest(word));
}

function noDelta(name: string): VarveError {
  return new VarveError("USAGE", `${name} is no delta`, { hint: `varve inspect ${name} tells of any image` });
}
