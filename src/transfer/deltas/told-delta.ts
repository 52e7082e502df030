/** What the manifest of a delta says of it, whichever of the two kinds it is. Nothing of it is checked against what the deltas make. */
import { VarveError } from "../../errors/varve-error.ts";
import { parseImageConfig } from "../../oci/config.ts";
import { DELTA_CONFIG_MEDIA_TYPE, DELTA_TARGET, isDeltaConfig, VARVE_DELTA_BASE } from "../../oci/delta-names.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { isConfigType } from "../../oci/media-types.ts";
import { readConfigBytes } from "../open-image.ts";
import type { ImageSource } from "../transports/types.ts";
import { readDeltaImage } from "./delta-image.ts";
import { readBases, readDeltaManifest } from "./discover/read-manifest.ts";
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

/** @throws VarveError `USAGE` for an image that is no delta, `DELTA_IMAGE_INVALID`, `DELTA_INVALID`; as the source */
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
  if (!isDeltaConfig(config)) throw noDelta(name);
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

/** As a pull reads it: what it passes over is passed over here. */
function listOf(manifest: Manifest): ToldDelta {
  const { annotations = {}, subject } = manifest;
  const said = annotations[DELTA_TARGET];
  const target = said !== undefined && isDigest(said) ? said : subject?.digest;
  return {
    kind: "list",
    baseId: null,
    base: readBases(annotations[VARVE_DELTA_BASE]) ?? null,
    targetId: null,
    targetManifest: target ?? null,
    layers: readDeltaManifest(manifest, target ?? manifest.digest).map(({ how, blob, from, to, size = null }) => {
      return { diffId: to, how, blob, from, size };
    }),
  };
}

function noDelta(name: string): VarveError {
  return new VarveError("USAGE", `${name} is no delta`, { hint: `varve inspect ${name} tells of any image` });
}
