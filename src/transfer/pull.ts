/**
 * The use case "pull": resolve the reference, see what is held, plan, fetch, check and unpack what is missing, record the image. Content
 * is leased while the pull runs; the image is recorded last, so that a name in the store always stands for a whole image.
 */
import { formatOf } from "../codec/tart/format-of.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { Digest } from "../oci/digest.ts";
import type { Platform } from "../oci/platform.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { TransferContext } from "./context.ts";
import type { DeltaOptions } from "./deltas/deltas-of-pull.ts";
import type { DeltaPlace } from "./deltas/types.ts";
import { DeltasOnDemand, isDelta } from "./deltas-on-demand.ts";
import { distinctTasks, inOrder, layerTasks } from "./layer-tasks.ts";
import { isPresent, presentResult, type LayerTask } from "./present-layer.ts";
import type { LayerResult, PullDone, PullResult } from "./pull-result.ts";
import { isRecorded, recordImage } from "./record-image.ts";
import { reportPull, topOf } from "./report-pull.ts";
import { resolveImage, type ResolvedImage } from "./resolve-image.ts";
import { isHeld, unpackedBy, type Snapshotter, type SnapshotterChoice } from "./snapshotter.ts";
import { Tally } from "./tally.ts";

export interface PullOptions extends DeltaOptions {
  /** Default: this machine's. */
  readonly platform?: Platform;
  /**
   * Unpack each layer as it arrives into the context's snapshotter; where there is none, only check it down to its DiffID, by inflating it.
   * Default true.
   */
  readonly unpack?: boolean;
  /** Remove each layer's blob as soon as the layer is unpacked for good. Default false. */
  readonly discardBlobs?: boolean;
  /** Tell what would move, and move nothing. Default false. */
  readonly plan?: boolean;
  /** Transfers at once. Default 4. */
  readonly concurrency?: number;
  /** Wait for other processes that fetch the same content, rather than fail with `STORE_BUSY`. Default true. */
  readonly wait?: boolean;
}

const DEFAULT_CONCURRENCY = 4;

/**
 * Gets an image into the store.
 *
 * @param text the image's name, as `parseReference` takes it
 * @throws VarveError `REFERENCE_INVALID`, `MANIFEST_UNKNOWN`, `PLATFORM_NOT_FOUND`, `UNAUTHORIZED`, `DIGEST_MISMATCH`,
 * `DIFFID_MISMATCH`, `NO_SPACE`, `STORE_BUSY`, `INTERRUPTED`, `REGISTRY_*` ...
 */
export async function pull(context: TransferContext, text: string, options: PullOptions = {}): Promise<PullResult> {
  const startedAt = performance.now();
  const tally = new Tally();
  const reference = parseReference(text);
  context.onProgress({ type: "resolve", reference: formatReference(reference) });
  const { platform, plan = false, wait = true } = options;
  const image = await resolveImage(context, reference, {
    tally,
    ...(platform !== undefined && { platform }),
    ...(!plan && { store: { wait } }),
  });
  if (isDelta(image)) {
    return getDeltaImage(context, image, { options, tally, startedAt });
  }
  for (const message of image.warnings) context.onProgress({ type: "warning", message });
  const done = await (isMachine(image, options) ? getMachine : getLayered)(context, image, options, tally);
  if (!plan) context.onProgress({ type: "image-done", reference: image.name, digest: image.root.digest });
  return reportPull(image, { ...done, tally, startedAt });
}

/** What a delta image is got with. */
export interface DeltaImageGiven {
  readonly options: PullOptions;
  readonly tally: Tally;
  /** By `performance.now`. */
  readonly startedAt: number;
  /** Where its layers come from. Default: the registry. */
  readonly place?: DeltaPlace;
}

/**
 * Gets the image that a delta image makes.
 * @throws VarveError `DELTA_IMAGE_INVALID`, `DELTA_BASE_MISSING`, `DELTA_BASE_DIFFERS`, `DELTA_INVALID`, `DIFFID_MISMATCH`, and as {@link pull}
 */
export async function getDeltaImage(
  context: TransferContext,
  delta: ResolvedImage & { readonly config: ImageConfig },
  { options, tally, startedAt, place }: DeltaImageGiven,
): Promise<PullResult> {
  const { deltasOf } = await import("./deltas/deltas-of-pull.ts");
  const { plan = false, wait = true, concurrency = DEFAULT_CONCURRENCY, unpack = true } = options;
  const { image, pull } = await deltasOf(context, delta, {
    ...options,
    ...(place !== undefined && { place }),
    tally,
    plan,
    wait,
    concurrency,
    unpacks: () => isOpened(unpack ? context.snapshotter : undefined),
  });
  await using deltas = DeltasOnDemand.opened(pull);
  for (const message of image.warnings) context.onProgress({ type: "warning", message });
  const tasks = layerTasks(image, unpack);
  const done = plan
    ? await planAll(context, image, tasks, options, deltas)
    : await carryOut(context, image, tasks, { ...options, tally }, deltas);
  if (!plan) {
    await context.store.leases.finish(delta.name);
    // Nobody needs the delta any more; what cannot be removed now is for the collection of garbage.
    await context.store.removeUnreferenced([delta.manifest.config.digest]).catch(() => undefined);
    context.onProgress({ type: "image-done", reference: image.name, digest: image.root.digest });
  }
  // No tar is of no bytes: a plan does not know what the pull will measure.
  const isManifestOpen = plan && image.manifest.layers.some(({ size }) => size === 0);
  return reportPull(image, { ...done, deltaDigest: delta.manifest.digest, isManifestOpen, tally, startedAt });
}

/** Whether it is a virtual machine's image, whose disks are wanted and not only their blobs. */
function isMachine({ manifest }: ResolvedImage, { unpack = true }: PullOptions): boolean {
  return unpack && formatOf(manifest) !== undefined;
}

async function getMachine(...[context, image, options, tally]: Parameters<typeof getLayered>): Promise<PullDone> {
  const { pullDisks } = await import("./disks/pull-disks.ts");
  const { plan = false, wait = true, concurrency = DEFAULT_CONCURRENCY } = options;
  return pullDisks(context, image, { plan, wait, concurrency, tally });
}

async function getLayered(
  context: TransferContext,
  image: ResolvedImage,
  options: PullOptions,
  tally: Tally,
): Promise<PullDone> {
  const tasks = layerTasks(image, options.unpack ?? true);
  await using deltas = DeltasOnDemand.of(context, image, { ...options, tally });
  if (options.plan === true) return await planAll(context, image, tasks, options, deltas);
  return await carryOut(context, image, tasks, { ...options, tally }, deltas);
}

async function planAll(
  context: TransferContext,
  image: ResolvedImage,
  tasks: readonly LayerTask[],
  { unpack = true, concurrency = DEFAULT_CONCURRENCY, discardBlobs: discards = false, delta }: PullOptions,
  deltas: DeltasOnDemand,
): Promise<PullDone> {
  const { store, snapshotter } = context;
  const distinct = distinctTasks(tasks);
  const diffIds = image.config?.rootfs.diffIds ?? [];
  const chain = chainIds(diffIds);
  const results: LayerResult[] = [];
  const unpacksInto = unpack ? snapshotter?.choice : undefined;
  if (delta === "always") await requireDeltas(context, tasks, unpacksInto, deltas);
  let opening: Promise<boolean> | undefined;
  const unpacks = (): Promise<boolean> => (opening ??= isOpened(unpack ? snapshotter : undefined));
  const { planLayer } = await import("./plan-layer.ts");
  const { SourcesOnDemand } = await import("./sources-on-demand.ts");
  const { knownRates } = await import("./known-rates.ts");
  await using sources = new SourcesOnDemand(store, { readOnly: true });
  const rates = await knownRates(context, image.reference);
  for (const task of distinct) {
    const { diffId } = task;
    const chainId = diffId && chain[diffIds.indexOf(diffId)];
    const isUnpacked = unpacksInto && chainId && (await isHeld(store, unpacksInto, { chainId, diffId }));
    const facts = {
      layersLeft: distinct.length,
      concurrency,
      discards,
      unpacks,
      sources: sources.open,
      rates,
      deltas: deltas.open,
    };
    const given = { ...facts, isUnpacked: isUnpacked === true };
    results.push(await planLayer(context, task, given));
  }
  return { status: "planned", layers: inOrder(tasks, results), resumedBytes: 0 };
}

/** Whether layers can be unpacked. */
async function isOpened(snapshotter: Snapshotter | undefined): Promise<boolean> {
  return (await snapshotter?.open())?.snapshots !== undefined;
}

/** What a pull that fails has got so far stays leased as unfinished, so that trying again finds it whatever is cleaned up meanwhile. */
async function carryOut(
  context: TransferContext,
  image: ResolvedImage,
  tasks: readonly LayerTask[],
  options: PullOptions & { readonly tally: Tally },
  deltas: DeltasOnDemand,
): Promise<PullDone> {
  const { store } = context;
  const { leases } = store;
  const { tally, unpack = true, wait = true, concurrency = DEFAULT_CONCURRENCY, discardBlobs = false } = options;
  const present = await findAllPresent(context, image, tasks, unpack);
  if (present !== undefined) return present;
  const [{ ensureRoom, explainNoRoom, roomFor }, { getLayers }] = await loadFetching();
  const distinct = distinctTasks(tasks);
  const snapshotter = unpack && chainOf(image).length > 0 ? context.snapshotter : undefined;
  const room = { unpacksInto: snapshotter?.choice, concurrency, discardBlobs, areMade: deltas.isOnlyWay };
  let wanted = await roomFor(context, image, distinct, room);
  try {
    await ensureRoom(store, wanted);
  } catch (error) {
    // Perhaps nothing can be unpacked here at all; finding out needs room itself.
    const opened = await snapshotter?.open().catch(() => undefined);
    if (opened?.snapshots !== undefined) throw error;
    wanted = await roomFor(context, image, distinct, { ...room, unpacksInto: undefined });
    await ensureRoom(store, wanted);
  }
  const opened = await snapshotter?.open();
  const snapshots = opened?.snapshots;
  await using lease = await leases.create();
  await lease.add(...contentOf(image), ...(snapshots === undefined ? [] : chainOf(image)));
  try {
    const given = { check: unpack, wait, concurrency, discardBlobs, tally, lease, snapshots, deltas };
    if (options.delta === "always") await requireDeltas(context, tasks, snapshots && room.unpacksInto, deltas);
    const { layers, resumedBytes, tars } = await getLayers(context, image, distinct, given);
    const changed = await recordImage(context, image);
    await leases.finish(image.name);
    await tars.drop();
    const isNew = layers.some(({ how, unpack }) => how !== "present" || (unpack ?? "present") !== "present");
    return {
      status: isNew || changed ? "pulled" : "up-to-date",
      layers: inOrder(tasks, layers),
      resumedBytes,
      snapshotter: snapshots?.driver.name,
      ...(opened?.snapshots === undefined && opened?.why !== undefined && { warnings: [opened.why] }),
    };
  } catch (error) {
    await lease.leave(image.name).catch(() => {});
    throw await explainNoRoom(store, wanted, error);
  }
}

/** @throws VarveError `DELTA_NOT_FOUND` when a layer that is not here would have to come in another way */
async function requireDeltas(
  context: TransferContext,
  tasks: readonly LayerTask[],
  unpacksInto: SnapshotterChoice | undefined,
  deltas: DeltasOnDemand,
): Promise<void> {
  const { requireDeltas: require } = await import("./deltas/require-deltas.ts");
  const opened = await deltas.open();
  if (opened !== undefined) await require(context, tasks, unpacksInto, opened);
}

/**
 * The results when there is nothing to do, which is then also nothing to lease: as long as the name stands for the image, its content
 * stays. Undefined when there is.
 */
async function findAllPresent(
  context: TransferContext,
  image: ResolvedImage,
  tasks: readonly LayerTask[],
  check: boolean,
): Promise<PullDone | undefined> {
  const { store, snapshotter } = context;
  if (image.fetched || !(await isRecorded(store, image))) return undefined;
  const top = check ? topOf(image) : undefined;
  const by = snapshotter && top && (await unpackedBy(store, snapshotter.choice, top));
  const distinct = distinctTasks(tasks);
  for (const task of distinct) if (!(await isPresent(context, task, check, by !== undefined))) return undefined;
  // Only now, for it takes the longest: perhaps nothing can be unpacked here at all.
  const isLeft = by === undefined && top !== undefined && (await snapshotter?.open())?.snapshots !== undefined;
  if (isLeft) return undefined;
  await store.images.touch(image.name);
  await store.leases.finish(image.name);
  const unpack = by === undefined ? null : "present";
  const results = distinct.map((task) => Object.assign(presentResult(context, task), { unpack }));
  return { status: "up-to-date", layers: inOrder(tasks, results), resumedBytes: 0, snapshotter: by };
}

/** What a pull that is up to date never needs, and would pay more for than for its work. */
function loadFetching() {
  return Promise.all([import("./space.ts"), import("./get-layers.ts")]);
}

/** The names of the image's layers as snapshots, and of what is held of them. */
function chainOf({ config }: ResolvedImage): Digest[] {
  const diffIds = config?.rootfs.diffIds ?? [];
  return [...chainIds(diffIds), ...diffIds];
}

/** Everything that the lease protects. */
function contentOf({ documents, manifest }: ResolvedImage): Digest[] {
  return [...documents, manifest.config, ...manifest.layers].map(({ digest }) => digest);
}
