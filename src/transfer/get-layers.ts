/**
 * All layers of an image: each held, waited for or fetched, several at once, the largest first; unpacked as they arrive, and bound in their
 * order beside that. The first failure cancels the rest; what came is kept.
 */
import { wholeFile } from "../layer/whole-file.ts";
import { digestAlgorithm, type Digest } from "../oci/digest.ts";
import { TransferBudget } from "../recipe/limiter.ts";
import type { Snapshots } from "../snapshot/service.ts";
import type { Lease } from "../store/leases.ts";
import type { TransferContext } from "./context.ts";
import type { DeltasOnDemand } from "./deltas-on-demand.ts";
import { fetchLayer, type FetchOptions, type LayerOutcome } from "./fetch-layer.ts";
import { knownRates, rememberRates } from "./known-rates.ts";
import { SourcesOnDemand } from "./sources-on-demand.ts";
import { discardBlob, neededByOthers } from "./given-up.ts";
import { ImageUnpacking } from "./image-unpacking.ts";
import { inParallel } from "./in-parallel.ts";
import { MadeTars } from "./made-tars.ts";
import { findOtherBlob, type OtherForm } from "./other-form.ts";
import type { LayerTask } from "./present-layer.ts";
import type { LayerResult } from "./pull-result.ts";
import type { ResolvedImage } from "./resolve-image.ts";
import type { Tally } from "./tally.ts";

/** Layers beyond the transfers that may be begun: while some wait for the last of their check, the network stays busy. */
export const LAYERS_AHEAD = 2;

export interface GetLayersOptions {
  /** Whether DiffIDs are checked. */
  readonly check: boolean;
  readonly wait: boolean;
  /** Transfers at once. */
  readonly concurrency: number;
  readonly tally: Tally;
  /** Where to unpack to. Default: nowhere. */
  readonly snapshots?: Snapshots | undefined;
  /** Protects what comes. */
  readonly lease: Lease;
  /** Remove a layer's blob as soon as the layer is bound. Default false. */
  readonly discardBlobs?: boolean;
  /** What layers may be made with by deltas. Default: nothing. */
  readonly deltas?: Pick<DeltasOnDemand, "open" | "isOnlyWay">;
}

export interface GotLayers {
  /** One for each task, in no order. */
  readonly layers: readonly LayerResult[];
  readonly resumedBytes: number;
  /** Some may still be here, while leases of earlier tries protect them. */
  readonly tars: MadeTars;
}

/** @param tasks of the image, each blob once */
export async function getLayers(
  context: TransferContext,
  image: ResolvedImage,
  tasks: readonly LayerTask[],
  options: GetLayersOptions,
): Promise<GotLayers> {
  const { concurrency, check, wait, tally, discardBlobs = false } = options;
  // The largest goes first: it is the longest way to the end, and the small ones fill the gaps. Where blobs are to go as soon as may be,
  // the lowest does, and none is begun before one is bound: so no more blobs are here than are begun at once.
  const queue = discardBlobs ? tasks : tasks.toSorted((a, b) => b.blob.size - a.blob.size);
  const failed = new AbortController();
  const signal = AbortSignal.any([context.signal, failed.signal]);
  const outcomes: LayerOutcome[] = [];
  const fetching = {
    budget: new TransferBudget({ concurrency }),
    layersLeft: (): number => queue.length - outcomes.length,
    check,
    wait,
    tally,
    signal,
    lease: options.lease,
    ...(options.deltas !== undefined && { deltas: options.deltas.open, isDeltaImage: options.deltas.isOnlyWay }),
  };
  const tars = new MadeTars(
    context.store,
    options.lease,
    tasks.map(({ blob }) => blob.digest),
  );
  await using sources = new SourcesOnDemand(context.store);
  const afterBound = new Map<Digest, () => Promise<void>>();
  const unpacked = { tars, afterBound };
  await using unpacking = await openUnpacking(context, image, tasks, { ...fetching, ...unpacked }, options);
  const without = { ...unpacked, sources: sources.open, rates: await knownRates(context, image.reference) };
  const given = unpacking === undefined ? fetching : { ...fetching, unpacking, discards: discardBlobs, ...without };
  await announce(context, tasks);
  // Whatever fails first is what is told; the others only stop because of it.
  const orStop = async (work: Promise<void> | undefined): Promise<void> => {
    try {
      await work;
    } catch (error) {
      failed.abort(error);
    }
  };
  const fetches = inParallel([...queue.entries()], concurrency + LAYERS_AHEAD, async ([priority, task]) => {
    try {
      outcomes.push(await fetchLayer(context, task, { ...given, priority }));
      if (discardBlobs && task.diffId !== undefined) await unpacking?.whenBound(task.diffId);
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  await Promise.all([orStop(fetches), orStop(unpacking?.bindAll())]);
  failed.signal.throwIfAborted();
  await rememberRates(context, image.reference);
  return {
    layers: outcomes.map(({ result }) => {
      const unpack = result.diffId === null ? undefined : unpacking?.howOf(result.diffId);
      return unpack === undefined ? result : { ...result, unpack };
    }),
    resumedBytes: outcomes.reduce((sum, outcome) => sum + outcome.resumedBytes, 0),
    tars,
  };
}

async function openUnpacking(
  context: TransferContext,
  { config, manifest }: ResolvedImage,
  tasks: readonly LayerTask[],
  fetching: Omit<FetchOptions, "priority"> & Required<Pick<FetchOptions, "tars" | "afterBound">>,
  { snapshots, lease, discardBlobs = false }: GetLayersOptions,
): Promise<ImageUnpacking | undefined> {
  if (snapshots === undefined || config === undefined) return undefined;
  const { store, threads } = context;
  const { signal, tars, afterBound } = fetching;
  const taskOf = (diffId: Digest): LayerTask => tasks.find((task) => task.diffId === diffId)!;
  const bytesOf = async (diffId: Digest): Promise<OtherForm> => {
    const task = taskOf(diffId);
    const { digest, size } = task.blob;
    const there = await store.content.stat(digest);
    if (there !== undefined) return { ...there, isTar: false };
    const other = await findOtherBlob(store, { ...task, diffId });
    if (other !== undefined) return other;
    await fetchLayer(context, task, { ...fetching, priority: 0 });
    return { path: store.content.pathOf(digest), size, isTar: false };
  };
  const reading = (diffId: Digest, { isTar }: OtherForm) => ({ algorithm: digestAlgorithm(diffId), isTar, signal });
  const others = discardBlobs ? await neededByOthers(store, manifest.digest) : undefined;
  return ImageUnpacking.open({
    snapshots,
    diffIds: config.rootfs.diffIds,
    signal,
    async openTar(diffId) {
      const bytes = await bytesOf(diffId);
      return threads.open(bytes, reading(diffId, bytes));
    },
    async unpackAnew(diffId, target) {
      const bytes = await bytesOf(diffId);
      return threads.unpack(wholeFile(bytes), target, reading(diffId, bytes));
    },
    async isGivenUp(diffId) {
      const { digest } = taskOf(diffId).blob;
      return others?.has(digest) === false || (await store.content.stat(digest)) === undefined;
    },
    async onBound(diffId) {
      const remember = afterBound.get(diffId);
      // It holds on to a table of contents.
      afterBound.delete(diffId);
      await remember?.();
      await tars.bound(diffId);
      const { blob } = taskOf(diffId);
      if (others?.has(blob.digest) === false) await discardBlob(context, blob, lease);
    },
  });
}

/** Tells of all layers before the first is begun, so that whoever looks on knows how much there is in all. */
async function announce({ store, onProgress }: TransferContext, tasks: readonly LayerTask[]): Promise<void> {
  for (const { blob } of tasks) {
    const { digest, size: total } = blob;
    const isWhole = (await store.content.stat(digest))?.size === total;
    const held = isWhole ? [{ start: 0, end: total }] : await store.content.partial(digest);
    const done = held.reduce((sum, { start, end }) => sum + end - start, 0);
    onProgress({ type: "layer-queued", digest, total, done });
  }
}
