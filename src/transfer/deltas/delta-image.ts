/**
 * An image that is a delta between two others (formats "balena-delta" §2): what its labels and annotations say, held to each other. Annotations are
 * varve's own and may be missing; nothing of them is relied upon but what a wrong digest would bring to light.
 */
import { VarveError } from "../../errors/varve-error.ts";
import { chainIds } from "../../oci/chain-id.ts";
import { parseImageConfig, type ImageConfig } from "../../oci/config.ts";
import {
  BASE_LABEL,
  CONFIG_LABEL,
  EMPTY_TAR_DIFF_ID,
  VARVE_DELTA_BASE,
  VARVE_DELTA_SIZE,
  VARVE_DELTA_TARGET,
} from "../../oci/delta-names.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { isDigest, type Digest } from "../../oci/digest.ts";
import type { Manifest } from "../../oci/manifest.ts";
import { MOST_BASES, readBases, readSize } from "./discover/read-manifest.ts";

export interface DeltaImageLayer {
  /** The target's layer. */
  readonly diffId: Digest;
  /** The layer of the delta image in its place. */
  readonly blob: Descriptor;
  /** Whether it is an empty tar, so that base and target must have the layer in common. */
  readonly isEmpty: boolean;
  /** Bytes of the target's layer, where the delta's maker said so. */
  readonly size: number | undefined;
}

export interface DeltaImage {
  /** Of the base: the digest of its config. */
  readonly baseId: Digest;
  /** DiffIDs of the base, bottom to top, where the delta's maker said so. */
  readonly base: readonly Digest[] | undefined;
  /** The target's config, exactly as it is; its digest is the target's image ID. */
  readonly target: ImageConfig;
  /** Of the manifest that the target was made from, where the delta's maker said so. */
  readonly targetManifest: Digest | undefined;
  /** Bottom to top. */
  readonly layers: readonly DeltaImageLayer[];
}

/** @throws VarveError `DELTA_IMAGE_INVALID` when it contradicts itself, or says of its target what no image is */
export function readDeltaImage(manifest: Manifest, config: ImageConfig): DeltaImage {
  const labels = config.config.Labels ?? {};
  const baseId = labels[BASE_LABEL];
  if (baseId === undefined || !isDigest(baseId)) {
    throw broken(manifest, `its label ${BASE_LABEL} is no image ID`);
  }
  const target = readTarget(manifest, labels[CONFIG_LABEL] ?? "");
  const { diffIds } = target.rootfs;
  const own = config.rootfs.diffIds;
  if (diffIds.length !== manifest.layers.length || own.length !== manifest.layers.length) {
    const counts = `${manifest.layers.length} layers, and its target ${diffIds.length}`;
    throw broken(manifest, `it has ${counts}`);
  }
  if (diffIds.length > MOST_BASES) throw broken(manifest, `it has ${diffIds.length} layers`);
  const names = new Set([...diffIds, target.digest, manifest.digest, manifest.config.digest]);
  for (const [at, { digest }] of manifest.layers.entries()) {
    if (own[at] === EMPTY_TAR_DIFF_ID || !names.has(digest)) continue;
    throw broken(manifest, `its layer ${digest} has the name of what it makes`);
  }
  const annotations = manifest.annotations ?? {};
  const targetManifest = annotations[VARVE_DELTA_TARGET];
  return {
    baseId,
    base: readBases(annotations[VARVE_DELTA_BASE]),
    target,
    targetManifest: targetManifest !== undefined && isDigest(targetManifest) ? targetManifest : undefined,
    layers: manifest.layers.map((blob, at) => ({
      diffId: diffIds[at]!,
      // Where else it may be had is nobody's business: what is asked for stays with the registry.
      blob: { mediaType: blob.mediaType, digest: blob.digest, size: blob.size },
      isEmpty: own[at] === EMPTY_TAR_DIFF_ID,
      size: readSize(blob.annotations?.[VARVE_DELTA_SIZE]),
    })),
  };
}

/**
 * Holds the layers that are left out to the base.
 * @param base DiffIDs, bottom to top
 * @throws VarveError `DELTA_IMAGE_INVALID` when one is left out that the base does not have in its place, on the same layers
 */
export function checkCommonLayers(manifest: Manifest, image: DeltaImage, base: readonly Digest[]): void {
  const ofBase = chainIds(base);
  const ofTarget = chainIds(image.target.rootfs.diffIds);
  for (const [at, { isEmpty, diffId }] of image.layers.entries()) {
    if (!isEmpty || ofBase[at] === ofTarget[at]) continue;
    throw broken(manifest, `it leaves out layer ${diffId}, which its base does not have in that place`);
  }
}

function readTarget(manifest: Manifest, text: string): ImageConfig {
  try {
    return parseImageConfig(Buffer.from(text));
  } catch (cause) {
    throw broken(manifest, `its label ${CONFIG_LABEL} is no image config`, cause);
  }
}

function broken({ digest }: Manifest, why: string, cause?: unknown): VarveError {
  return new VarveError("DELTA_IMAGE_INVALID", `the delta image ${digest} is broken: ${why}`, { cause });
}
