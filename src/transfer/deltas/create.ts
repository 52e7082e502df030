/**
 * The use case "create a delta": what makes one image of the other, as an image of its own (librsync, formats "balena-delta") or as deltas of single
 * layers beside the target (tar-diff, formats "tar-diff").
 */
import { inThisThread } from "../../delta/image/in-this-thread.ts";
import { formatReference } from "../../oci/reference.ts";
import type { TransferContext } from "../context.ts";
import { HeldLayerTars } from "../layer-tars/held-layer-tars.ts";
import { makeDeltaImage } from "./create-image.ts";
import { openSide, type Pair } from "./create-sides.ts";
import type { CreateDeltaOptions, DeltaCreated, DeltaFormat, DeltaLayerResult, DeltaMaker } from "./create-types.ts";
import { deltaPlaces, usualDeltaName } from "./deliver.ts";

const MAKERS: Readonly<Record<DeltaFormat, () => Promise<DeltaMaker>>> = {
  librsync: () => Promise.resolve(makeDeltaImage),
  "tar-diff": async () => (await import("./create-tar-diff.ts")).makeTarDiffs,
};

/**
 * @param base an image of the store, that who pulls the delta will hold
 * @param target an image of the store
 * @throws VarveError `IMAGE_NOT_FOUND`, `USAGE`, `REFERENCE_INVALID`, `DELTA_BASE_MISSING` for a layer that is not here any more, `DIFFID_MISMATCH` for one that
 * is damaged, `MANIFEST_UNKNOWN` when tar-diff deltas are to go where the target is not, `NO_SPACE`, `REGISTRY_*` ...
 */
export async function createDelta(
  context: TransferContext,
  base: string,
  target: string,
  options: CreateDeltaOptions = {},
): Promise<DeltaCreated> {
  const startedAt = performance.now();
  const { format = "librsync", platform } = options;
  const threads = (await context.deltaThreads?.()) ?? inThisThread();
  await using held = new AsyncDisposableStack();
  const pair: Pair = {
    base: await openSide(context, base, platform, held),
    target: await openSide(context, target, platform, held),
  };
  const places = deltaPlaces(options, () => usualDeltaName(format, pair.base.imageId, pair.target.imageId));
  context.onProgress({ type: "resolve", reference: target, digest: pair.target.manifest.digest });
  const tars = held.use(new HeldLayerTars(context));
  const make = await MAKERS[format]();
  const made = await make(context, pair, { held, places, tars, threads, jobs: options.jobs ?? threads.lanes });
  const isMade = made.digest !== null;
  return {
    format,
    base,
    target,
    baseId: pair.base.imageId,
    targetId: pair.target.imageId,
    ...made,
    name: isMade && places.tag !== undefined ? formatReference(places.tag) : null,
    pushed: isMade && places.push !== undefined ? formatReference(places.push) : null,
    ...sumsOf(made.layers.filter(({ how }) => how !== "common")),
    durationMs: Math.round(performance.now() - startedAt),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
  };
}

function sumsOf(
  layers: readonly DeltaLayerResult[],
): Pick<DeltaCreated, "bytes" | "deltaBytes" | "blobBytes" | "deltaBlobBytes" | "helps"> {
  const sum = (of: (layer: DeltaLayerResult) => number): number => layers.reduce((total, one) => total + of(one), 0);
  return {
    bytes: sum((layer) => layer.bytes),
    deltaBytes: sum((layer) => (layer.how === "none" ? layer.bytes : layer.deltaBytes)),
    blobBytes: sum((layer) => layer.blobBytes),
    deltaBlobBytes: sum((layer) => (layer.how === "none" ? layer.blobBytes : layer.deltaBlobBytes)),
    helps: layers.length === 0 || layers.some(({ helps }) => helps),
  };
}
