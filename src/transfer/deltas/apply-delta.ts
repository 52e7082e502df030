/**
 * The use case "delta apply": a delta image that is here already, in the store, a layout or an archive, makes its target of a base that is held, as a
 * pull of it would (formats "balena-delta" §5, "load").
 */
import { VarveError } from "../../errors/varve-error.ts";
import { digestHex, type Digest } from "../../oci/digest.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import type { BlobSource } from "../../registry/blob-source.ts";
import type { TransferContext } from "../context.ts";
import { isDelta } from "../deltas-on-demand.ts";
import { openManifest, readImageConfig } from "../open-image.ts";
import { openSource } from "../open-place.ts";
import { getDeltaImage, type PullOptions } from "../pull.ts";
import type { PullResult } from "../pull-result.ts";
import { Tally } from "../tally.ts";
import type { ImageSource } from "../transports/types.ts";
import { readDeltaImage } from "./delta-image.ts";
import type { DeltaPlace } from "./types.ts";

export interface ApplyDeltaOptions extends Omit<PullOptions, "delta"> {
  /** What the target is called in the store. Default: `delta:target-` and twelve hex digits of its image ID. */
  readonly tag?: string;
}

/**
 * @param name of an image of the store, or of one elsewhere with its transport
 * @throws VarveError `USAGE` for an image that is no delta, `DELTA_IMAGE_INVALID`, `DELTA_BASE_MISSING`, `DELTA_BASE_DIFFERS`, `DELTA_INVALID`, `DIFFID_MISMATCH`,
 * `REFERENCE_INVALID`, `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND` ...
 */
export async function applyDeltaImage(
  context: TransferContext,
  name: string,
  { tag, ...options }: ApplyDeltaOptions = {},
): Promise<PullResult> {
  const startedAt = performance.now();
  const { signal } = context;
  const given = tag === undefined ? undefined : nameOf(tag);
  await using source = await openSource(context, name);
  const { root, manifest } = await openManifest(source, name, options.platform);
  const config = await readImageConfig(source, manifest, name, signal);
  const resolved = { root, manifest, config, configBytes: config.bytes, platform: undefined, documents: [root] };
  if (!isDelta(resolved)) {
    throw new VarveError("USAGE", `${name} is no delta between images`, { hint: "varve delta create makes one" });
  }
  const reference = given ?? usualName(readDeltaImage(manifest, config).target.digest);
  const delta = { ...resolved, reference, name: formatReference(reference), fetched: false, warnings: [] };
  return await getDeltaImage(context, delta, { options, tally: new Tally(), startedAt, place: placeIn(source) });
}

function nameOf(tag: string): ReturnType<typeof parseReference> {
  const reference = parseReference(tag);
  if (reference.digest === undefined) return reference;
  throw new VarveError("REFERENCE_INVALID", `a digest is no name to give: ${tag}`, { hint: "give NAME:TAG" });
}

function usualName(target: Digest): ReturnType<typeof parseReference> {
  return parseReference(`delta:target-${digestHex(target).slice(0, 12)}`);
}

function placeIn(source: ImageSource): DeltaPlace {
  return { blobs: blobsOf(source), ranges: () => false, distrust: () => undefined };
}

/** Nothing of it comes over a network, so nothing is counted. */
function blobsOf(source: ImageSource): BlobSource {
  return {
    async *readBlob(blob, { range, signal } = {}) {
      const { start, end } = range ?? { start: 0, end: blob.size };
      let at = 0;
      for await (const chunk of source.blob(blob, signal)) {
        const wanted = chunk.subarray(Math.max(0, start - at), Math.max(0, end - at));
        at += chunk.length;
        if (wanted.length > 0) yield wanted;
        if (range !== undefined && at >= end) return;
      }
    },
  };
}
