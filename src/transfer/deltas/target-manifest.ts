/**
 * The manifest of the image that a delta image makes. The delta carries its config and no manifest; so it is the one that an image here has, or the one
 * that the repository has and the delta names, or one that is made, with blobs that are here and else the tars themselves as layers.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { ErrorCode } from "../../errors/table.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { isLayerType, layerCompression, MEDIA_TYPES } from "../../oci/media-types.ts";
import { withDigest, type Reference } from "../../oci/reference.ts";
import type { TransferContext } from "../context.ts";
import { isVerified } from "../given-up.ts";
import { heldBytes } from "../held-bytes.ts";
import type { Tally } from "../tally.ts";
import type { DeltaImage } from "./delta-image.ts";

/** The place that the delta was found in does not have it, or gives it to nobody. */
const IS_MISSING: ReadonlySet<ErrorCode> = new Set(["MANIFEST_UNKNOWN", "UNAUTHORIZED", "DENIED"]);

export interface FindManifestOptions {
  /** The repository of the delta. Default: nowhere but the store is looked. */
  readonly reference?: Reference | undefined;
  readonly tally: Tally;
  /** Whether layers are to be held unpacked, so that their blobs need not be. */
  readonly unpacks: () => Promise<boolean>;
}

/** One that there is. @throws VarveError as the registry; the signal's reason */
export async function findTargetManifest(
  context: TransferContext,
  image: DeltaImage,
  options: FindManifestOptions,
): Promise<Manifest | undefined> {
  const { store } = context;
  const isTargets = (document: Manifest | Index | undefined): document is Manifest =>
    document?.kind === "manifest" &&
    document.config.digest === image.target.digest &&
    document.layers.length === image.layers.length &&
    document.layers.every(({ mediaType }) => isLayerType(mediaType));
  for (const { configDigest, manifest } of await store.images.list()) {
    if (configDigest !== image.target.digest) continue;
    const held = await heldManifest(context, manifest.digest);
    if (isTargets(held) && ((await options.unpacks()) || (await hasBlobs(context, held)))) return held;
  }
  if (image.targetManifest === undefined || !(await options.unpacks())) return undefined;
  const named = await namedManifest(context, image.targetManifest, options);
  return isTargets(named) ? named : undefined;
}

async function namedManifest(
  context: TransferContext,
  digest: Digest,
  { reference, tally }: FindManifestOptions,
): Promise<Manifest | Index | undefined> {
  const held = await heldManifest(context, digest);
  if (held !== undefined || reference === undefined) return held;
  const { registry, signal, onProgress } = context;
  try {
    const asked = { digest, signal, onEvent: tally.telling(onProgress) };
    return await registry.fetchManifest(withDigest(reference, digest), asked);
  } catch (error) {
    if (isVarveError(error) && (IS_MISSING.has(error.code) || /^(MANIFEST|DIGEST)_/.test(error.code))) return undefined;
    throw error;
  }
}

async function heldManifest({ store }: TransferContext, digest: Digest): Promise<Manifest | Index | undefined> {
  const bytes = await heldBytes(store, digest);
  if (bytes === undefined) return undefined;
  try {
    return parseManifest(bytes, { expected: { digest } });
  } catch {
    return undefined;
  }
}

async function hasBlobs({ store }: TransferContext, { layers }: Manifest): Promise<boolean> {
  for (const { digest, size } of layers) if ((await store.content.stat(digest))?.size !== size) return false;
  return true;
}

/**
 * One whose layers are the tars, or the blobs of them that are here.
 * @param delta manifest of the delta image, whose kind it is of
 * @param held blobs in the places of layers; undefined where the tar is to be the blob
 * @param sizes of the layers' tars, bytes
 */
export function makeTargetManifest(
  delta: Manifest,
  { target }: DeltaImage,
  held: readonly (Descriptor | undefined)[],
  sizes: readonly number[],
): Manifest {
  const { manifest: mediaType, config, none } = namesOf(delta);
  const document = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: config, digest: target.digest, size: target.bytes.length },
    layers: target.rootfs.diffIds.map((digest, at) => held[at] ?? { mediaType: none, digest, size: sizes[at] ?? 0 }),
  };
  const bytes = Buffer.from(JSON.stringify(document));
  return parseManifest(bytes, { expected: { digest: digestOf(bytes) } }) as Manifest;
}

/** The blob of a layer that is here, in whatever compression: registries have it, and whoever wants the image's blobs need not make it again. */
export async function heldBlob(
  { store }: TransferContext,
  diffId: Digest,
  delta: Manifest,
): Promise<Descriptor | undefined> {
  const names = namesOf(delta);
  for (const record of await store.layers.findByDiffId(diffId)) {
    const compression = isLayerType(record.mediaType) ? layerCompression(record.mediaType) : "unknown";
    if (!isVerified(record) || compression === "unknown") continue;
    const { digest, size } = record;
    if ((await store.content.stat(digest))?.size === size) return { mediaType: names[compression], digest, size };
  }
  return undefined;
}

/** Media types as manifests of the same kind have them. */
function namesOf({ mediaType }: Manifest): Readonly<Record<"manifest" | "config" | "none" | "gzip" | "zstd", string>> {
  return mediaType === MEDIA_TYPES.dockerManifest
    ? {
        manifest: MEDIA_TYPES.dockerManifest,
        config: MEDIA_TYPES.dockerConfig,
        none: MEDIA_TYPES.dockerLayer,
        gzip: MEDIA_TYPES.dockerLayerGzip,
        zstd: MEDIA_TYPES.dockerLayerZstd,
      }
    : {
        manifest: MEDIA_TYPES.ociManifest,
        config: MEDIA_TYPES.ociConfig,
        none: MEDIA_TYPES.ociLayer,
        gzip: MEDIA_TYPES.ociLayerGzip,
        zstd: MEDIA_TYPES.ociLayerZstd,
      };
}
