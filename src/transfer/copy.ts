/**
 * The use case "copy": an image from one place to another, by one algorithm for all of them. Layers go first, several at once; then configs;
 * then documents, children before parents; then the name. What is there already is not sent, and not even looked at where what names it is.
 */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import type { Platform } from "../oci/platform.ts";
import { parseReference } from "../oci/reference.ts";
import { tellTransport } from "../recipe/transport-progress.ts";
import type { TransportEvent } from "../registry/blob-source.ts";
import { BlobProgress } from "./blob-progress.ts";
import type { TransferContext } from "./context.ts";
import { BlobCopy } from "./copy-blobs.ts";
import { findCopyGraph, type CopyGraph } from "./copy-graph.ts";
import { childrenFirst, configsOf, distinctBlobs } from "./copy-order.ts";
import { inParallel } from "./in-parallel.ts";
import { openManifest } from "./open-image.ts";
import { openSink, openSource } from "./open-place.ts";
import { Tally } from "./tally.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

export interface CopyOptions {
  /** Copy the whole index with all its platforms. Default false: one platform's manifest. */
  readonly all?: boolean;
  /** Default: the one that was pulled, else this machine's. Not together with `all`. */
  readonly platform?: Platform;
  /**
   * Copy also what refers to the copied manifests (signatures, inventories), and what refers to that. Default false: of machines' images only the index of
   * their disks' chunks.
   */
  readonly referrers?: boolean;
  /** Whether the index of the chunks of a machine's disks comes along where not all does that refers to the image. Default true. */
  readonly chunkIndex?: boolean;
  /** Blobs at once. Default 4. */
  readonly concurrency?: number;
  /** Bytes of each request of an upload. Default: a blob in one request, or as much as the registry takes. */
  readonly chunkSize?: number;
}

export interface CopyResult {
  readonly source: string;
  readonly destination: string;
  /** Of what was copied: the platform's manifest, or with `all` the index. */
  readonly digest: Digest;
  readonly mediaType: string;
  /** `up-to-date`: the destination's name stood for just this. */
  readonly status: "copied" | "up-to-date";
  /** Blobs that were written, that the registry took from another of its repositories, and that were there. */
  readonly blobs: { readonly copied: number; readonly mounted: number; readonly present: number };
  /** Manifests and indexes that were written. */
  readonly manifests: number;
  readonly bytes: {
    /** Body bytes received from registries, manifests and indexes included. */
    readonly network: number;
    /** Body bytes sent to registries, also those that had to be sent again. */
    readonly sent: number;
    /** Of the blobs that were written, as the descriptors have them. */
    readonly copied: number;
  };
  readonly requests: number;
  readonly retries: number;
  readonly durationMs: number;
  readonly peakRssBytes: number;
  readonly warnings: readonly string[];
}

/** What is to be copied in place of what the source holds. */
export type Transform = (context: TransferContext, source: ImageSource, root: Manifest | Index) => Promise<ImageSource>;

const DEFAULT_CONCURRENCY = 4;

/** @throws VarveError `USAGE`, `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `PLATFORM_NOT_FOUND`, `MANIFEST_UNKNOWN`, `DIGEST_MISMATCH`, `DENIED` ... */
export async function copyImage(
  context: TransferContext,
  from: string,
  to: string,
  options: CopyOptions = {},
  transform?: Transform,
): Promise<CopyResult> {
  const startedAt = performance.now();
  // What was given up of the image may come from anywhere.
  if (to.startsWith("docker://")) context.registry.reserveCredentials(parseReference(to).host);
  if (options.all === true && options.platform !== undefined) {
    throw new VarveError("USAGE", "all platforms or one of them, not both", { hint: "leave out --all or --platform" });
  }
  const tally = new Tally();
  const progress = new BlobProgress(context.onProgress);
  const onEvent = listener(context, tally, progress);
  await using stack = new AsyncDisposableStack();
  const original = stack.use(await openSource(context, from, { onEvent }));
  const chosen = await chooseRoot(original, from, options);
  // What takes long before anything is copied is told of under the image's name.
  if (transform !== undefined) context.onProgress({ type: "resolve", reference: from, to });
  const source = transform === undefined ? original : stack.use(await transform(context, original, chosen));
  const root = transform === undefined ? chosen : await source.root();
  const sink = stack.use(await openSink(context, to, { ...options, onEvent, from }));
  context.onProgress({ type: "resolve", reference: from, digest: root.digest, to });
  const without = to.startsWith("docker-archive:") || options.chunkIndex === false ? false : "disk-index";
  const done = await copyRoot(context, source, sink, root, { ...options, name: from, without, progress });
  return report({ from, to, root, tally, startedAt, ...done });
}

async function chooseRoot(
  source: ImageSource,
  name: string,
  { all = false, platform }: CopyOptions,
): Promise<Manifest | Index> {
  return all ? source.root() : (await openManifest(source, name, platform)).manifest;
}

interface Done {
  readonly status: CopyResult["status"];
  readonly blobs: CopyResult["blobs"];
  readonly manifests: number;
  readonly copiedBytes: number;
}

const NOTHING: Done = {
  status: "up-to-date",
  blobs: { copied: 0, mounted: 0, present: 0 },
  manifests: 0,
  copiedBytes: 0,
};

interface CopyRootOptions extends CopyOptions {
  readonly name: string;
  /** What comes along that refers to the image where not all of that does. */
  readonly without: false | "disk-index";
  readonly progress: BlobProgress;
}

async function copyRoot(
  context: TransferContext,
  source: ImageSource,
  sink: ImageSink,
  root: Manifest | Index,
  { referrers = false, concurrency = DEFAULT_CONCURRENCY, name, without, progress }: CopyRootOptions,
): Promise<Done> {
  const stands = (await sink.standsFor?.(root)) ?? false;
  if (stands && !referrers) return NOTHING;
  const graph = await findCopyGraph(source, sink, root, { referrers: referrers || without, concurrency, name });
  const documents = [...graph.parts, ...graph.referrers];
  const copy = new BlobCopy(context, source, sink, progress);
  const blobs = distinctBlobs(documents);
  copy.announce(blobs);
  const configs = configsOf(documents);
  const isConfig = ({ digest }: { readonly digest: Digest }): boolean => configs.has(digest);
  await copy.copy(
    blobs.filter((blob) => !isConfig(blob)),
    concurrency,
  );
  await copy.copy(blobs.filter(isConfig), concurrency);
  await putParts(sink, root, graph.parts, concurrency);
  let left = 0;
  for (const document of graph.referrers) {
    const putting = sink.putDocument(document, { root: false, referrer: true });
    const leave = (error: unknown): void => {
      goWithout(context, document, error);
      left++;
    };
    await (referrers ? putting : putting.catch(leave));
  }
  if (!stands) await sink.putDocument(root, { root: true });
  if (!stands) await sink.commit();
  const isNew = !stands || documents.length > 0;
  const manifests = documents.length - left + (stands || graph.parts.includes(root) ? 0 : 1);
  return { status: isNew ? "copied" : "up-to-date", blobs: copy.counts, manifests, copiedBytes: copy.bytes };
}

/**
 * All parts but the root. Those that refer to others follow each other afterwards: registries without a list of their own are told by reading and
 * writing one.
 */
async function putParts(
  sink: ImageSink,
  root: Manifest | Index,
  parts: CopyGraph["parts"],
  concurrency: number,
): Promise<void> {
  for (const list of childrenFirst(parts.filter((document) => document !== root))) {
    await inParallel(list, concurrency, (document) => sink.putDocument(document, { root: false }));
  }
}

/** Some registries take nothing that refers to an image; that is no reason not to have the image there. */
function goWithout({ signal, onProgress }: TransferContext, { digest }: Manifest | Index, error: unknown): void {
  signal.throwIfAborted();
  if (!isVarveError(error)) throw error;
  const message = `the image goes without the index of its chunks, which is not taken there: ${error.message}`;
  onProgress({ type: "warning", message, code: error.code, digest });
}

/** Counts what registries are asked, and tells what there is to tell of it. */
function listener(
  { onProgress }: TransferContext,
  tally: Tally,
  progress: BlobProgress,
): (event: TransportEvent, digest?: Digest) => void {
  const tell = tellTransport(onProgress);
  return (event, digest) => {
    tally.onEvent(event);
    if (digest !== undefined) progress.onEvent(event, digest);
    const isAbout = digest !== undefined && (event.type === "retry" || event.type === "failover");
    if (isAbout) onProgress({ ...event, digest });
    else tell(event);
  };
}

interface Facts extends Done {
  readonly from: string;
  readonly to: string;
  readonly root: Manifest | Index;
  readonly tally: Tally;
  readonly startedAt: number;
}

function report({ from, to, root, tally, startedAt, status, blobs, manifests, copiedBytes }: Facts): CopyResult {
  return {
    source: from,
    destination: to,
    digest: root.digest,
    mediaType: root.mediaType,
    status,
    blobs,
    manifests,
    bytes: { network: tally.network, sent: tally.sent, copied: copiedBytes },
    requests: tally.requests,
    retries: tally.retries,
    durationMs: Math.round(performance.now() - startedAt),
    peakRssBytes: process.resourceUsage().maxRSS * 1024,
    warnings: tally.warnings,
  };
}
