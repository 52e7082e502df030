/**
 * The use case "copy": an image from one place to another, by one algorithm for all of them. Blobs go first, several at once; then
 * documents, children before parents; then the name. What is there already is not sent.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { Digest } from "../oci/digest.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { isIndexType, isManifestType } from "../oci/media-types.ts";
import type { Platform } from "../oci/platform.ts";
import { ProgressMeter } from "../recipe/progress-meter.ts";
import type { TransferContext } from "./context.ts";
import { inParallel } from "./in-parallel.ts";
import { openManifest } from "./open-image.ts";
import { openSink, openSource } from "./open-place.ts";
import { MAX_INDEX_DEPTH } from "./pick-platform.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

/** All documents of one copy are held in memory; those of the largest images there are come to less than a tenth of this. */
const MAX_DOCUMENTS_BYTES = 64 * 1024 * 1024;

export interface CopyOptions {
  /** Copy the whole index with all its platforms. Default false: one platform's manifest. */
  readonly all?: boolean;
  /** Default: the one that was pulled, else this machine's. Not together with `all`. */
  readonly platform?: Platform;
  /** Blobs at once. Default 4. */
  readonly concurrency?: number;
}

export interface CopyResult {
  readonly source: string;
  readonly destination: string;
  /** Of what was copied: the platform's manifest, or with `all` the index. */
  readonly digest: Digest;
  readonly mediaType: string;
  /** Blobs that were written, and those that were there. */
  readonly blobs: { readonly copied: number; readonly present: number };
  /** Bytes of the blobs that were written, as the descriptors have them. */
  readonly bytes: number;
  readonly durationMs: number;
}

/** @throws VarveError `USAGE`, `IMAGE_NOT_FOUND`, `FILE_NOT_FOUND`, `PLATFORM_NOT_FOUND`, `DIGEST_MISMATCH` ... */
export async function copyImage(
  context: TransferContext,
  from: string,
  to: string,
  options: CopyOptions = {},
): Promise<CopyResult> {
  const startedAt = performance.now();
  const { all = false, platform, concurrency = 4 } = options;
  if (all && platform !== undefined) {
    throw new VarveError("USAGE", "all platforms or one of them, not both", { hint: "leave out --all or --platform" });
  }
  await using source = await openSource(context, from);
  const root = all ? await source.root() : (await openManifest(source, from, platform)).manifest;
  await using sink = await openSink(context, to);
  const documents = await collectDocuments(source, root);
  const blobs = distinctBlobs(documents);
  context.onProgress({ type: "resolve", reference: from, digest: root.digest });
  for (const { digest, size: total } of blobs) context.onProgress({ type: "layer-queued", digest, total, done: 0 });
  let bytes = 0;
  let copied = 0;
  await inParallel(blobs, concurrency, async (blob) => {
    context.signal.throwIfAborted();
    if (await sink.has(blob))
      return context.onProgress({ type: "layer-present", digest: blob.digest, total: blob.size });
    await sendBlob(context, source, sink, blob);
    bytes += blob.size;
    copied++;
  });
  for (const document of documents.toReversed()) await sink.putDocument(document, { root: document === root });
  await sink.commit();
  return {
    source: from,
    destination: to,
    digest: root.digest,
    mediaType: root.mediaType,
    blobs: { copied, present: blobs.length - copied },
    bytes,
    durationMs: Math.round(performance.now() - startedAt),
  };
}

async function sendBlob(
  context: TransferContext,
  source: ImageSource,
  sink: ImageSink,
  blob: Descriptor,
): Promise<void> {
  const { digest, size: total } = blob;
  context.onProgress({ type: "layer-start", digest, total, resumed: 0 });
  const meter = new ProgressMeter({ digest, total, emit: context.onProgress });
  await sink.putBlob(blob, metered(source.blob(blob, context.signal), meter));
  meter.finish();
  context.onProgress({ type: "layer-done", digest, total });
}

async function* metered(bytes: AsyncIterable<Uint8Array>, meter: ProgressMeter): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    meter.advance(chunk.length);
    yield chunk;
  }
}

/** The root first, then what it names, each once. */
async function collectDocuments(source: ImageSource, root: Manifest | Index): Promise<(Manifest | Index)[]> {
  const found = new Map<Digest, Manifest | Index>([[root.digest, root]]);
  let bytes = root.bytes.length;
  let level: (Manifest | Index)[] = [root];
  for (let depth = 1; level.length > 0; depth++) {
    const named = level.flatMap((document) => (document.kind === "index" ? document.manifests : []));
    const missing = named.filter(({ digest, mediaType }) => !found.has(digest) && isDocument(mediaType));
    if (missing.length > 0 && depth >= MAX_INDEX_DEPTH) {
      throw new VarveError("MANIFEST_INVALID", `${root.digest}: indexes are nested too deep`);
    }
    level = [];
    for (const descriptor of missing) {
      if (found.has(descriptor.digest)) continue;
      const document = await source.document(descriptor);
      bytes += document.bytes.length;
      if (bytes > MAX_DOCUMENTS_BYTES) throw tooLarge(root);
      found.set(document.digest, document);
      level.push(document);
    }
  }
  return [...found.values()];
}

function tooLarge({ digest }: Manifest | Index): VarveError {
  return new VarveError(
    "MANIFEST_TOO_LARGE",
    `the manifests of ${digest} have more than ${MAX_DOCUMENTS_BYTES} bytes`,
    {
      hint: "copy one platform of it, with --platform",
    },
  );
}

function isDocument(mediaType: string): boolean {
  return isIndexType(mediaType) || isManifestType(mediaType);
}

/** Configs, layers, and what an index names besides manifests. */
function distinctBlobs(documents: readonly (Manifest | Index)[]): Descriptor[] {
  const blobs = documents.flatMap((document) =>
    document.kind === "manifest"
      ? [document.config, ...document.layers]
      : document.manifests.filter(({ mediaType }) => !isDocument(mediaType)),
  );
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}
