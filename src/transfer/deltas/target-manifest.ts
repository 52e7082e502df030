/**
 * The manifest of the image that a delta image makes. The delta carries its config and no manifest; so it is the one that an image here has, or the one
 * that the repository has and the delta names, or one that is made: with the tars themselves as layers, and thus always the same.
 */
import { isVarveError } from "../../errors/varve-error.ts";
import type { ErrorCode } from "../../errors/table.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { isLayerType, MEDIA_TYPES } from "../../oci/media-types.ts";
import { withDigest, type Reference } from "../../oci/reference.ts";
import type { TransferContext } from "../context.ts";
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
 * One whose layers are the tars.
 * @param delta manifest of the delta image, whose kind it is of
 * @param sizes of the layers' tars, bytes
 */
export function makeTargetManifest(delta: Manifest, { target }: DeltaImage, sizes: readonly number[]): Manifest {
  const isDocker = delta.mediaType === MEDIA_TYPES.dockerManifest;
  const [mediaType, config, layer] = isDocker
    ? [MEDIA_TYPES.dockerManifest, MEDIA_TYPES.dockerConfig, MEDIA_TYPES.dockerLayer]
    : [MEDIA_TYPES.ociManifest, MEDIA_TYPES.ociConfig, MEDIA_TYPES.ociLayer];
  const document = {
    schemaVersion: 2,
    mediaType,
    config: { mediaType: config, digest: target.digest, size: target.bytes.length },
    layers: target.rootfs.diffIds.map((digest, at) => ({ mediaType: layer, digest, size: sizes[at] ?? 0 })),
  };
  const bytes = Buffer.from(JSON.stringify(document));
  return parseManifest(bytes, { expected: { digest: digestOf(bytes) } }) as Manifest;
}
