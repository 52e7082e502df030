/**
 * The use case "pull": resolve the reference, see what is held, plan, fetch and check what is missing, record the image. Content is
 * leased while the pull runs; the image is recorded last, so that a name in the store always stands for a whole image.
 */
import { VarveError } from "../errors/varve-error.ts";
import { chainIds } from "../oci/chain-id.ts";
import type { Digest } from "../oci/digest.ts";
import { isLayerType } from "../oci/media-types.ts";
import { formatPlatform, type Platform } from "../oci/platform.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import { addBytes, noBytes } from "../recipe/bytes.ts";
import type { TransferContext } from "./context.ts";
import type { LayerOutcome } from "./fetch-layer.ts";
import { isPresent, presentResult, type LayerTask } from "./present-layer.ts";
import type { LayerResult, PullResult } from "./pull-result.ts";
import { isRecorded, recordImage } from "./record-image.ts";
import { resolveImage, type ResolvedImage } from "./resolve-image.ts";
import { Tally } from "./tally.ts";

export interface PullOptions {
  /** Default: this machine's. */
  readonly platform?: Platform;
  /** Check each layer down to its DiffID, by inflating it as it arrives. Default true. */
  readonly unpack?: boolean;
  /** Tell what would move, and move nothing. Default false. */
  readonly plan?: boolean;
  /** Transfers at once. Default 4. */
  readonly concurrency?: number;
  /** Wait for other processes that fetch the same content, rather than fail with `STORE_BUSY`. Default true. */
  readonly wait?: boolean;
}

const DEFAULT_CONCURRENCY = 4;

/** Layers beyond the transfers that may be begun: while some wait for the last of their check, the network stays busy. */
const LAYERS_AHEAD = 2;

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
  for (const message of image.warnings) context.onProgress({ type: "warning", message });
  const tasks = layerTasks(image, options.unpack ?? true);
  if (plan) return report(image, { ...(await planAll(context, tasks, options)), tally, startedAt });
  const done = await carryOut(context, image, tasks, options, tally);
  context.onProgress({ type: "image-done", reference: image.name, digest: image.root.digest });
  return report(image, { ...done, tally, startedAt });
}

/** @throws VarveError `MEDIA_TYPE_UNSUPPORTED` for a layer that could be fetched but never unpacked */
function layerTasks({ manifest, config, reference, name }: ResolvedImage, check: boolean): LayerTask[] {
  return manifest.layers.map((blob, index) => {
    if (check && config !== undefined && !isLayerType(blob.mediaType)) {
      throw new VarveError("MEDIA_TYPE_UNSUPPORTED", `${name}: layer ${blob.digest} is of type ${blob.mediaType}`, {
        hint: "varve pull --no-unpack fetches it as it is",
      });
    }
    return { reference, blob, diffId: config?.rootfs.diffIds[index] };
  });
}

interface Done {
  readonly status: PullResult["status"];
  /** One for each layer of the manifest, in its order. */
  readonly layers: readonly LayerResult[];
  readonly resumedBytes: number;
}

async function planAll(context: TransferContext, tasks: readonly LayerTask[], options: PullOptions): Promise<Done> {
  const distinct = distinctTasks(tasks);
  const facts = { layersLeft: distinct.length, concurrency: options.concurrency ?? DEFAULT_CONCURRENCY };
  const results: LayerResult[] = [];
  const { planLayer } = await import("./fetch-layer.ts");
  for (const task of distinct) results.push(await planLayer(context, task, facts));
  return { status: "planned", layers: inOrder(tasks, results), resumedBytes: 0 };
}

/** What a pull that fails has got so far stays leased as unfinished, so that trying again finds it whatever is cleaned up meanwhile. */
async function carryOut(
  context: TransferContext,
  image: ResolvedImage,
  tasks: readonly LayerTask[],
  options: PullOptions,
  tally: Tally,
): Promise<Done> {
  const { store } = context;
  const { leases } = store;
  const present = await findAllPresent(context, image, tasks, options.unpack ?? true);
  if (present !== undefined) return { status: "up-to-date", layers: present, resumedBytes: 0 };
  const { ensureRoom, explainNoRoom } = await import("./space.ts");
  const wanted = { name: image.name, blobs: [image.manifest.config, ...image.manifest.layers] };
  await ensureRoom(store, wanted);
  await using lease = await leases.create();
  await lease.add(...contentOf(image));
  try {
    const done = await getLayers(context, image, tasks, options, tally);
    await leases.finish(image.name);
    return done;
  } catch (error) {
    await lease.leave(image.name).catch(() => {});
    throw await explainNoRoom(store, wanted, error);
  }
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
): Promise<LayerResult[] | undefined> {
  const { store } = context;
  if (image.fetched || !(await isRecorded(store, image))) return undefined;
  const distinct = distinctTasks(tasks);
  for (const task of distinct) if (!(await isPresent(context, task, check))) return undefined;
  await store.images.touch(image.name);
  await store.leases.finish(image.name);
  return inOrder(
    tasks,
    distinct.map((task) => presentResult(context, task)),
  );
}

async function getLayers(
  context: TransferContext,
  image: ResolvedImage,
  tasks: readonly LayerTask[],
  { unpack = true, wait = true, concurrency = DEFAULT_CONCURRENCY }: PullOptions,
  tally: Tally,
): Promise<Done> {
  const { signal } = context;
  const [{ fetchLayer }, { TransferBudget }, { inParallel }] = await loadFetching();
  // The largest goes first: it is the longest way to the end, and the small ones fill the gaps.
  const queue = distinctTasks(tasks).toSorted((a, b) => b.blob.size - a.blob.size);
  const failed = new AbortController();
  const shared = {
    budget: new TransferBudget({ concurrency }),
    layersLeft: (): number => queue.length - outcomes.length,
    check: unpack,
    wait,
    tally,
    signal: AbortSignal.any([signal, failed.signal]),
  };
  const outcomes: LayerOutcome[] = [];
  await announce(context, distinctTasks(tasks));
  const inFlight = concurrency + LAYERS_AHEAD;
  await inParallel([...queue.entries()], inFlight, async ([priority, task]) => {
    try {
      outcomes.push(await fetchLayer(context, task, { ...shared, priority }));
    } catch (error) {
      failed.abort(error);
      throw error;
    }
  });
  const changed = await recordImage(context, image);
  const results = outcomes.map(({ result }) => result);
  const moved = results.some(({ how }) => how !== "present");
  return {
    status: moved || changed ? "pulled" : "up-to-date",
    layers: inOrder(tasks, results),
    resumedBytes: outcomes.reduce((sum, outcome) => sum + outcome.resumedBytes, 0),
  };
}

/** What a pull that is up to date never needs, and would pay more for than for its work. */
function loadFetching() {
  return Promise.all([import("./fetch-layer.ts"), import("../recipe/limiter.ts"), import("./in-parallel.ts")]);
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

/** Everything that the lease protects. */
function contentOf({ documents, manifest }: ResolvedImage): Digest[] {
  return [...documents, manifest.config, ...manifest.layers].map(({ digest }) => digest);
}

/** A layer that is listed twice is got once. @throws VarveError `DIFFID_MISMATCH` when it is said to be two things */
function distinctTasks(tasks: readonly LayerTask[]): LayerTask[] {
  const distinct = new Map<Digest, LayerTask>();
  for (const task of tasks) {
    const same = distinct.get(task.blob.digest);
    if (same === undefined) distinct.set(task.blob.digest, task);
    else if (same.diffId !== task.diffId) {
      throw new VarveError("DIFFID_MISMATCH", `layer ${task.blob.digest} is listed twice, with two DiffIDs`);
    }
  }
  return [...distinct.values()];
}

/** The results in the manifest's order; of a repeated layer only the first counts as moved. */
function inOrder(tasks: readonly LayerTask[], results: readonly LayerResult[]): LayerResult[] {
  const byDigest = new Map(results.map((result) => [result.digest, result]));
  const seen = new Set<Digest>();
  return tasks.flatMap(({ blob: { digest } }) => {
    const result = byDigest.get(digest);
    if (result === undefined) return [];
    const repeated = seen.has(digest);
    seen.add(digest);
    return [repeated ? { ...result, how: "present" as const, bytes: noBytes(), fallbacks: [] } : result];
  });
}

interface Facts extends Done {
  readonly tally: Tally;
  readonly startedAt: number;
}

function report(image: ResolvedImage, { status, layers, resumedBytes, tally, startedAt }: Facts): PullResult {
  const bytes = layers.reduce((sum, layer) => addBytes(sum, layer.bytes), noBytes());
  // Documents count too, and tries that failed. A plan has moved nothing but documents, and tells what the rest would cost.
  bytes.network = tally.network + (status === "planned" ? bytes.network : 0);
  return {
    reference: image.name,
    digest: image.root.digest,
    mediaType: image.root.mediaType,
    platform: image.platform === undefined ? null : formatPlatform(image.platform),
    imageId: image.manifest.config.digest,
    chainId: chainIds(image.config?.rootfs.diffIds ?? []).at(-1) ?? null,
    status,
    bytes: { ...bytes, total: bytes.network + bytes.local + bytes.data + bytes.zero },
    requests: tally.requests,
    retries: tally.retries,
    resumedBytes,
    durationMs: Math.round(performance.now() - startedAt),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    layers,
    warnings: [...image.warnings, ...tally.warnings],
  };
}
