/**
 * What deltas between images are called: in balena's delta images (formats "balena-delta" §2), in the delta manifests that flatpak and tar-diff use
 * (formats "tar-diff" §2), and what varve's own say beyond both.
 */
import type { ImageConfig } from "./config.ts";
import type { Digest } from "./digest.ts";

/** Labels of a delta image's config: the base's image ID, and the target's config as it is. */
export const BASE_LABEL = "io.resin.delta.base";
export const CONFIG_LABEL = "io.resin.delta.config";

/** Whether an image is to be taken for a delta between two others, perhaps a broken one. */
export function isDeltaConfig(config: ImageConfig | undefined): config is ImageConfig {
  return CONFIG_LABEL in (config?.config.Labels ?? {});
}

/** An empty tar (1024 zeros), which stands for a layer that base and target share from the bottom up. */
export const EMPTY_TAR_DIFF_ID = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef" as Digest;

export const TAR_DIFF_MEDIA_TYPE = "application/vnd.tar-diff";
/** A layer of a delta image in a delta manifest: a tar of one file that is a librsync delta, gzip'd. */
export const LIBRSYNC_MEDIA_TYPE = "application/vnd.varve.librsync.v1.tar+gzip";
/** Also the `artifactType` by which such manifests are found as referrers. */
export const DELTA_CONFIG_MEDIA_TYPE = "application/vnd.redhat.delta.config.v1+json";

/** Of a delta manifest, and of its entry in an index: the digest of the image manifest that it serves. */
export const DELTA_TARGET = "io.github.containers.delta.target";
/** Of a layer of a delta manifest: DiffID or blob digest of the layer that it is taken from (tar-diff), and of the one that it makes. */
export const DELTA_FROM = "io.github.containers.delta.from";
export const DELTA_TO = "io.github.containers.delta.to";
/** Tag of the index of all delta manifests of a repository; an older scheme tags each one by the target's digest. */
export const DELTA_INDEX_TAG = "_deltaindex";
export const oldDeltaTag = (target: Digest): string => `deltas-${target.slice(target.indexOf(":") + 1).slice(0, 12)}`;

/**
 * What varve adds, as annotations of a delta image's manifest, of a delta manifest and of their layers: the DiffIDs of the base's layers, bottom to
 * top, separated by spaces; the digest of the target's manifest; bytes of the tar that a layer makes or, where it is empty, stands for.
 */
export const VARVE_DELTA_BASE = "dev.varve.delta.base";
export const VARVE_DELTA_TARGET = "dev.varve.delta.target";
export const VARVE_DELTA_SIZE = "dev.varve.delta.size";
/** Of a delta manifest and of its entry in an index: `tar-diff` where other readers of these may find something they know, else `librsync`. */
export const VARVE_DELTA_FORMAT = "dev.varve.delta.format";
