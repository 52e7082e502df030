/**
 * The use case "compose deltas": of a delta image from one image to a second, and one from that to a third, the delta image from the first to the third.
 * None of the images has to be here. What comes of it is checked where every delta is: against the DiffIDs, by who applies it.
 */
import { deltaDocuments } from "../../../delta/image/documents.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import { chainIds } from "../../../oci/chain-id.ts";
import type { Digest } from "../../../oci/digest.ts";
import { formatReference } from "../../../oci/reference.ts";
import type { UnnamedFile } from "../../commit/unnamed-file.ts";
import type { TransferContext } from "../../context.ts";
import { deltaPlaces, pushDelta, storeDelta, usualDeltaName } from "../deliver.ts";
import { composeLayers, type ComposedLayer } from "./compose-layers.ts";
import type { ComposeDeltasOptions, ComposedLayerResult, DeltaComposed } from "./compose-types.ts";
import { openGivenDelta, type GivenDelta } from "./given-delta.ts";

/**
 * @param first name of a delta image, in the store or any other place
 * @param second the same, of one that is made from what the first makes
 * @throws VarveError `USAGE` for what is no delta, `DELTA_BASE_DIFFERS` when they do not follow each other, `DELTA_IMAGE_INVALID`, `DELTA_INVALID`, `DELTA_LIMIT`, `IMAGE_NOT_FOUND`,
 * `REFERENCE_INVALID`, `NO_SPACE`, `DENIED` ...
 */
export async function composeDeltas(
  context: TransferContext,
  first: string,
  second: string,
  options: ComposeDeltasOptions = {},
): Promise<DeltaComposed> {
  const startedAt = performance.now();
  const { platform } = options;
  await using held = new AsyncDisposableStack();
  const one = await openGivenDelta(context, first, platform, held);
  const two = await openGivenDelta(context, second, platform, held);
  checkMiddle(one, two);
  const places = deltaPlaces(options, () => usualDeltaName("librsync", one.image.baseId, two.targetId));
  context.onProgress({ type: "resolve", reference: second, digest: two.manifest.digest });
  const layers = await composeLayers(context, one, two, held);
  const { config, manifest } = documentsOf(one, two, layers);
  const blobs = new Map<Digest, UnnamedFile | Uint8Array>([[config.descriptor.digest, config.bytes]]);
  for (const { packed } of layers) blobs.set(packed.digest, packed.file);
  const delta = { manifest, blobs };
  if (places.tag !== undefined) await storeDelta(context, delta, places.tag);
  if (places.push !== undefined) await pushDelta(context, delta, places.push);
  const results = layers.map(({ result }) => result);
  const sum = (of: (layer: ComposedLayerResult) => number): number =>
    results.reduce((total, one) => total + of(one), 0);
  return {
    first,
    second,
    baseId: one.image.baseId,
    middleId: one.targetId,
    targetId: two.targetId,
    digest: manifest.digest,
    imageId: config.descriptor.digest,
    name: places.tag === undefined ? null : formatReference(places.tag),
    pushed: places.push === undefined ? null : formatReference(places.push),
    layers: results,
    deltaBytes: sum((layer) => layer.deltaBytes),
    deltaBlobBytes: sum((layer) => layer.deltaBlobBytes),
    givenBlobBytes: bytesOf(one) + bytesOf(two),
    durationMs: Math.round(performance.now() - startedAt),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    warnings: [],
  };
}

/** @throws VarveError `DELTA_BASE_DIFFERS`; `DELTA_IMAGE_INVALID` when the second leaves out what the middle image does not have there */
function checkMiddle(first: GivenDelta, second: GivenDelta): void {
  const [made, wanted] = [first.targetId, second.image.baseId];
  if (made !== wanted) {
    const message = `${first.name} makes image ${made}, and ${second.name} is made from ${wanted}`;
    throw new VarveError("DELTA_BASE_DIFFERS", message, {
      hint: "name deltas that follow each other, the older one first",
    });
  }
  const middle = chainIds(first.image.layers.map(({ diffId }) => diffId));
  const target = chainIds(second.image.layers.map(({ diffId }) => diffId));
  const wrong = second.image.layers.findIndex(({ isEmpty }, index) => isEmpty && middle[index] !== target[index]);
  if (wrong === -1) return;
  const message = `${second.name} leaves out layer ${second.image.layers[wrong]!.diffId}, which its base does not have in that place`;
  throw new VarveError("DELTA_IMAGE_INVALID", message);
}

function documentsOf(
  first: GivenDelta,
  second: GivenDelta,
  layers: readonly ComposedLayer[],
): ReturnType<typeof deltaDocuments> {
  const { baseId, base } = first.image;
  const { targetId, image } = second;
  return deltaDocuments(
    { imageId: baseId, ...(base !== undefined && { diffIds: base }) },
    {
      imageId: targetId,
      configBytes: image.target.bytes,
      ...(image.targetManifest !== undefined && { manifest: { digest: image.targetManifest } }),
    },
    layers.map(({ packed: { diffId, digest, size }, result: { bytes } }) => {
      return { diffId, blob: { digest, size }, ...(bytes !== null && { targetBytes: bytes }) };
    }),
  );
}

function bytesOf({ image }: GivenDelta): number {
  return image.layers.reduce((total, { blob }) => total + blob.size, 0);
}
