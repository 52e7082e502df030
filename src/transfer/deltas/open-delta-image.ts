/**
 * From a delta image (formats "balena-delta" §5) to the image that it makes, as if that had been asked for, and the deltas by which its layers come.
 * Where a manifest has to be made for it and the delta's maker did not say how large the layers are, all deltas are fetched and measured first.
 */
import { VarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import { formatReference, withDigest } from "../../oci/reference.ts";
import type { ImageConfig } from "../../oci/config.ts";
import type { TransferContext } from "../context.ts";
import { isVerified } from "../given-up.ts";
import { platformOf, platformWarnings, type ResolvedImage } from "../resolve-image.ts";
import type { Manifest } from "../../oci/manifest.ts";
import type { Platform } from "../../oci/platform.ts";
import { readDeltaImage, type DeltaImage, type DeltaImageLayer } from "./delta-image.ts";
import { NamedDeltas } from "./named-deltas.ts";
import { findTargetManifest, heldBlob, makeTargetManifest, type FindManifestOptions } from "./target-manifest.ts";
import type { DeltaPlace, LayerTars } from "./types.ts";

export interface OpenDeltaImageOptions extends FindManifestOptions {
  /** Stays the caller's. */
  readonly tars: LayerTars;
  /** Default: this machine's. */
  readonly platform?: Platform | undefined;
  /** Where the deltas come from. Default: the registry. */
  readonly place?: DeltaPlace | undefined;
  /** Finds out how large layers are by fetching their deltas. Default: what is not known is 0, for plans. */
  readonly measure?: (deltas: NamedDeltas, diffIds: readonly Digest[]) => Promise<void>;
}

export interface OpenedDeltaImage {
  /** The target. */
  readonly image: ResolvedImage;
  readonly deltas: NamedDeltas;
}

/**
 * @param resolved the delta image
 * @throws VarveError `DELTA_IMAGE_INVALID`, `DELTA_BASE_MISSING`, `PLATFORM_NOT_FOUND`; what `measure` throws
 */
export async function openDeltaImage(
  context: TransferContext,
  resolved: ResolvedImage & { readonly config: ImageConfig },
  options: OpenDeltaImageOptions,
): Promise<OpenedDeltaImage> {
  const { reference, name, manifest } = resolved;
  const image = readDeltaImage(manifest, resolved.config);
  const { tars, place } = options;
  const deltas = new NamedDeltas({ manifest, image, tars, reference, place });
  const found = await findTargetManifest(context, image, options);
  const target = found ?? (await makeTarget(context, manifest, image, deltas, options));
  const platform = platformOf(image.target);
  return {
    deltas,
    image: {
      reference,
      // A name with the delta's digest cannot stand for what it makes.
      name: reference.digest === undefined ? name : formatReference(withDigest(reference, target.digest)),
      root: target,
      manifest: target,
      configBytes: image.target.bytes,
      config: image.target,
      platform,
      documents: [target],
      fetched: false,
      warnings: platformWarnings(reference, target, platform, options.platform),
    },
  };
}

async function makeTarget(
  context: TransferContext,
  manifest: Manifest,
  image: DeltaImage,
  deltas: NamedDeltas,
  options: OpenDeltaImageOptions,
): Promise<Manifest> {
  const sizes = await sizesOf(context, image, deltas, options);
  const held = await Promise.all(image.layers.map(({ diffId }) => heldBlob(context, diffId, manifest)));
  return makeTargetManifest(manifest, image, held, sizes);
}

async function sizesOf(
  context: TransferContext,
  { layers }: DeltaImage,
  deltas: NamedDeltas,
  { measure, tars }: OpenDeltaImageOptions,
): Promise<readonly number[]> {
  // Whether the base has what is left out is to be told before what that is is looked for.
  const leftOut = layers.find(({ isEmpty }) => isEmpty);
  if (leftOut !== undefined) await deltas.of(leftOut);
  const known = new Map<Digest, number>();
  for (const layer of layers) {
    // What the delta says of a layer that is not made is never put to the test.
    const size = known.get(layer.diffId) ?? (await sizeHere(context, layer, tars)) ?? layer.size;
    if (size !== undefined) known.set(layer.diffId, size);
  }
  const unknown = layers.filter(({ diffId }) => !known.has(diffId)).map(({ diffId }) => diffId);
  if (unknown.length > 0) await measure?.(deltas, [...new Set(unknown)]);
  const sizes: number[] = [];
  for (const { diffId } of layers) sizes.push(known.get(diffId) ?? (await deltas.of({ diffId }))[0]?.size ?? 0);
  return sizes;
}

/** Of a layer that is here already; one that is left out has to be. */
async function sizeHere(
  { store, signal }: TransferContext,
  { diffId, isEmpty }: DeltaImageLayer,
  tars: LayerTars,
): Promise<number | undefined> {
  for (const record of await store.layers.findByDiffId(diffId)) {
    if (isVerified(record) && record.uncompressedSize > 0) return record.uncompressedSize;
  }
  if (await tars.has(diffId)) {
    await using tar = await tars.open(diffId, signal);
    return tar.size;
  }
  if (!isEmpty) return undefined;
  throw new VarveError("DELTA_BASE_MISSING", `the delta leaves out layer ${diffId}, and it is not here`, {
    detail: { diffId },
  });
}
