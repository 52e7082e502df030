/** A librsync delta as an image, made and put where it is to be; beside its target it is listed as one of the target's deltas too. */
import { deltaDocuments } from "../../delta/image/documents.ts";
import { isVarveError } from "../../errors/varve-error.ts";
import type { Digest } from "../../oci/digest.ts";
import type { Reference } from "../../oci/reference.ts";
import type { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";
import { makeLibrsyncLayers, type LibrsyncLayer } from "./create-librsync.ts";
import { describe, type Pair } from "./create-sides.ts";
import type { DeltaMaker } from "./create-types.ts";
import { pushDelta, storeDelta } from "./deliver.ts";
import { publishDeltas } from "./publish/publish.ts";
import type { PublishedDelta } from "./publish/types.ts";

export const makeDeltaImage: DeltaMaker = async (context, pair, { held, places, ...work }) => {
  const layers = await makeLibrsyncLayers(context, { ...pair, ...work }, held);
  const { config, manifest } = deltaDocuments(
    pair.base,
    pair.target,
    layers.map(({ packed: { diffId, digest, size }, result: { bytes } }) => {
      return { diffId, blob: { digest, size }, targetBytes: bytes };
    }),
  );
  const blobs = new Map<Digest, UnnamedFile | Uint8Array>(layers.map(({ packed: { digest, file } }) => [digest, file]));
  blobs.set(config.descriptor.digest, config.bytes);
  const delta = { manifest, blobs };
  if (places.tag !== undefined) await storeDelta(context, delta, places.tag);
  if (places.push !== undefined) await pushDelta(context, delta, places.push);
  const listed = places.push === undefined ? undefined : await list(context, pair, layers, places.push);
  return {
    digest: manifest.digest,
    imageId: config.descriptor.digest,
    layers: layers.map(({ result }) => result),
    isListed: listed !== undefined,
    warnings: listed ?? [],
  };
};

/** What is to be said of it; undefined where the repository does not have the target. */
async function list(
  context: TransferContext,
  { base, target }: Pair,
  layers: readonly LibrsyncLayer[],
  reference: Reference,
): Promise<readonly string[] | undefined> {
  const deltas = layers.flatMap(({ packed, result }): PublishedDelta[] => {
    if (result.how === "common" || !result.helps) return [];
    const { file, digest, size } = packed;
    const open: PublishedDelta["open"] = (start) => file.read(start);
    return [
      {
        how: "librsync-delta",
        blob: { digest, size },
        base: base.diffIds,
        to: result.diffId,
        size: result.bytes,
        open,
      },
    ];
  });
  if (deltas.length === 0) return undefined;
  try {
    const published = { target: describe(target.manifest), base: base.diffIds, deltas };
    return (await publishDeltas(context, reference, published)).warnings;
  } catch (error) {
    if (isVarveError(error, "MANIFEST_UNKNOWN")) return undefined;
    throw error;
  }
}
