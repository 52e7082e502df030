/**
 * An image's layers into a directory, in order: a layer is inflated and hashed in a thread while the one before it is written, and
 * applied in the caller's.
 */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { LayerApplier } from "../layer/apply.ts";
import { applyLayer } from "../layer/apply-layer.ts";
import type { ApplyReport } from "../layer/report.ts";
import { tarStreamOf, type TarStream } from "../layer/tar-stream.ts";
import type { ImageConfig } from "../oci/config.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, type Digest } from "../oci/digest.ts";
import type { Manifest } from "../oci/manifest.ts";
import { UnpackMeter } from "../recipe/progress-meter.ts";
import { isContentVerdict } from "./content-verdict.ts";
import type { TransferContext } from "./context.ts";
import { heldTar } from "./held-tar.ts";
import { StoreSource } from "./transports/store.ts";
import type { ImageSource } from "./transports/types.ts";

/** What is applied: an opened image and where its layers come from. */
export interface Layers {
  readonly source: ImageSource;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
}

/** Applies the layers in order; `rootfs` exists. @throws VarveError, with the store's own damage told from the image's */
export async function applyLayers(context: TransferContext, layers: Layers, rootfs: string): Promise<ApplyReport> {
  const { manifest, config, source } = layers;
  using applier = new LayerApplier(rootfs);
  // When one layer fails, the next has been begun and nobody will read it.
  const left = new AbortController();
  const reading = { ...context, signal: AbortSignal.any([context.signal, left.signal]) };
  const open = (index: number): Promise<TarStream> | undefined => {
    const blob = manifest.layers[index];
    const diffId = config.rootfs.diffIds[index];
    return blob === undefined || diffId === undefined ? undefined : openLayer(reading, source, blob, diffId);
  };
  try {
    let next = open(0);
    for (const [index, blob] of manifest.layers.entries()) {
      const stream = await next;
      const diffId = config.rootfs.diffIds[index];
      if (stream === undefined || diffId === undefined) break;
      // The next layer is inflated while this one is written.
      next = open(index + 1);
      next?.catch(() => undefined);
      try {
        await applyOne(context, stream, applier, { blob, diffId });
      } catch (error) {
        throw (await damageOf(context, source, blob, error)) ?? error;
      }
    }
    return applier.finish();
  } finally {
    left.abort();
  }
}

/** Of a layer whose content is not what it should be: whether it is the store's copy that went bad, and not the image. */
async function damageOf(
  { signal }: TransferContext,
  source: ImageSource,
  blob: Descriptor,
  error: unknown,
): Promise<VarveError | undefined> {
  if (!(source instanceof StoreSource) || !isContentVerdict(error)) return undefined;
  try {
    for await (const _chunk of source.blob(blob, signal)) continue;
    return undefined;
  } catch (cause) {
    if (!isVarveError(cause, "DIGEST_MISMATCH") && !isVarveError(cause, "SIZE_MISMATCH")) return undefined;
    return new VarveError("DIGEST_MISMATCH", `the store's blob ${blob.digest} is damaged`, {
      hint: "varve fsck --repair gets it anew",
      cause: error,
    });
  }
}

async function applyOne(
  { store, signal, onProgress }: TransferContext,
  stream: TarStream,
  applier: LayerApplier,
  { blob: { digest }, diffId }: { readonly blob: Descriptor; readonly diffId: Digest },
): Promise<void> {
  const known = await store.layers.get(digest);
  const total = known?.diffId === diffId ? { total: known.uncompressedSize } : {};
  const meter = new UnpackMeter({ digest, ...total, emit: onProgress });
  let { entries } = applier.report();
  let before = 0;
  const { size } = await applyLayer(stream, applier, {
    diffId,
    signal,
    onBytes(done) {
      const reached = applier.report().entries;
      meter.advance(done - before, reached - entries);
      before = done;
      entries = reached;
    },
  });
  meter.finish();
  onProgress({ type: "layer-done", digest, total: size, diffId });
}

async function openLayer(
  { store, threads, signal }: TransferContext,
  source: ImageSource,
  blob: Descriptor,
  diffId: Digest,
): Promise<TarStream> {
  const options = { algorithm: digestAlgorithm(diffId), signal };
  const stored = source instanceof StoreSource ? await store.content.stat(blob.digest) : undefined;
  if (stored !== undefined) return threads.open(stored, options);
  // Its blob was given up; the tar may be here.
  const tar = source instanceof StoreSource ? await heldTar(store, diffId) : undefined;
  if (tar !== undefined) return threads.open(tar, options);
  return tarStreamOf(source.blob(blob, signal), options);
}
