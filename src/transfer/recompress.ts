/**
 * An image whose layers are compressed another way: a place of images over another one. Its config, and so the image's ID, is the same; layers
 * that are compressed as asked for already stay as they are. New blobs wait in files without a name until whoever copies the image takes them,
 * and are gone with the source.
 */
import { COMPRESSION_LEVELS, type LayerCompressionKind } from "../codec/layer-compressions.ts";
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestAlgorithm, type Digest } from "../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { isConfigType, isIndexType, isManifestType } from "../oci/media-types.ts";
import { wholeFile } from "../layer/whole-file.ts";
import { UnpackMeter } from "../recipe/progress-meter.ts";
import type { TransferContext } from "./context.ts";
import type { Transform } from "./copy.ts";
import { UnnamedFile } from "./commit/unnamed-file.ts";
import { inParallel } from "./in-parallel.ts";
import { MAX_INDEX_DEPTH } from "./pick-platform.ts";
import { refuseMachine } from "./disks/refuse-machine.ts";
import { readImageConfig } from "./open-image.ts";
import { newIndex, newManifest } from "./recompress-documents.ts";
import { isKept, newDescriptor, openLayerFile } from "./recompress-layers.ts";
import type { ImageSource } from "./transports/types.ts";

export interface RecompressOptions {
  readonly compression: LayerCompressionKind;
  /** gzip: 1 ... 9, else 1 ... 19. Default: the usual one (layer-compressions.ts). */
  readonly level?: number;
  /** Layers at once. Default 4; as many work as there are cores. */
  readonly concurrency?: number;
}

/** What became of a layer. */
export interface RecompressedLayerResult {
  readonly diffId: Digest;
  readonly from: Descriptor;
  readonly to: Descriptor;
  /** Bytes of the tar; null for layers that were kept. */
  readonly uncompressedSize: number | null;
  readonly entries: number | null;
  /** Why it could not be made as asked for, and is ordinary zstd; null when it is what was asked for. */
  readonly refused: string | null;
}

/** For `copyImage`: the image is copied with its layers compressed another way. */
export interface Recompressing {
  /** @throws as {@link recompressed} */
  readonly transform: Transform;
  /** What became of each layer, in no order; nothing as long as nothing was transformed. */
  layers(): Promise<readonly RecompressedLayerResult[]>;
  /** What is to be said of layers that could not be made as asked for. */
  warnings(): Promise<string[]>;
}

export function recompressing(options: RecompressOptions): Recompressing {
  let made: RecompressedSource | undefined;
  const layers = async (): Promise<readonly RecompressedLayerResult[]> => (await made?.layers()) ?? [];
  return {
    transform: async (context, source, root) => (made = await recompressed(context, source, root, options)),
    layers,
    warnings: async () =>
      (await layers()).flatMap(({ from, refused }) => (refused === null ? [] : [refusal(from, refused)])),
  };
}

function refusal({ digest }: Descriptor, why: string): string {
  return `the layer ${digest} becomes ordinary zstd: ${why}`;
}

/**
 * Converts all layers at once, each once, and then the documents.
 * @param root what is to be converted: of an index all platforms are
 * @returns a source whose root is the new document. `source` stays the caller's to close, after it
 * @throws VarveError `USAGE` (level), `DIFFID_MISMATCH`, `LAYER_INVALID`, `NO_SPACE`, and as the source
 */
export async function recompressed(
  context: TransferContext,
  source: ImageSource,
  root: Manifest | Index,
  options: RecompressOptions,
): Promise<RecompressedSource> {
  checkLevel(options);
  const made = new RecompressedSource(context, source, options);
  try {
    await made.convert(root);
    return made;
  } catch (error) {
    await made[Symbol.asyncDispose]();
    throw error;
  }
}

function checkLevel({ compression, level }: RecompressOptions): void {
  const { least, most } = COMPRESSION_LEVELS[compression];
  if (level === undefined || (Number.isInteger(level) && level >= least && level <= most)) return;
  throw new VarveError("USAGE", `${compression} has no level ${level}`, {
    hint: `choose one from ${least} to ${most}`,
  });
}

interface Made {
  readonly result: RecompressedLayerResult;
  readonly file: UnnamedFile;
}

/** Made by {@link recompressed}. */
export class RecompressedSource implements ImageSource {
  readonly #context: TransferContext;
  readonly #source: ImageSource;
  readonly #options: RecompressOptions;
  readonly #documents = new Map<Digest, Manifest | Index>();
  /** By the digests of the layers that they were made of; files by those of the new ones. */
  readonly #layers = new Map<Digest, Promise<Made>>();
  readonly #files = new Map<Digest, UnnamedFile>();
  readonly #kept = new Map<Digest, RecompressedLayerResult>();
  /** When one layer fails the others need not be made. */
  readonly #failed = new AbortController();
  #root: Manifest | Index | undefined;

  constructor(context: TransferContext, source: ImageSource, options: RecompressOptions) {
    this.#context = { ...context, signal: AbortSignal.any([context.signal, this.#failed.signal]) };
    this.#source = source;
    this.#options = options;
  }

  /** What became of each layer, in no order. */
  async layers(): Promise<RecompressedLayerResult[]> {
    const made = await Promise.all(this.#layers.values());
    return [...made.map(({ result }) => result), ...this.#kept.values()];
  }

  /** @internal */
  async convert(root: Manifest | Index): Promise<void> {
    this.#root = await this.#convert(root, 1);
  }

  root(): Promise<Manifest | Index> {
    if (this.#root === undefined) throw new VarveError("INTERNAL", "the image was not converted");
    return Promise.resolve(this.#root);
  }

  async document(descriptor: Descriptor): Promise<Manifest | Index> {
    return this.#documents.get(descriptor.digest) ?? this.#source.document(descriptor);
  }

  blob(descriptor: Descriptor, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    return this.#files.get(descriptor.digest)?.read() ?? this.#source.blob(descriptor, signal);
  }

  blobFrom(descriptor: Descriptor, start: number, signal?: AbortSignal): AsyncIterable<Uint8Array> {
    const file = this.#files.get(descriptor.digest);
    if (file !== undefined) return file.read(start);
    return this.#source.blobFrom?.(descriptor, start, signal) ?? skip(this.#source.blob(descriptor, signal), start);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const made = await Promise.allSettled(this.#layers.values());
    for (const one of made) if (one.status === "fulfilled") await one.value.file[Symbol.asyncDispose]();
  }

  async #convert(document: Manifest | Index, depth: number): Promise<Manifest | Index> {
    if (document.kind === "manifest") return this.#convertManifest(document);
    if (depth >= MAX_INDEX_DEPTH) throw new VarveError("MANIFEST_INVALID", "indexes are nested too deep");
    const converted = new Map<Digest, Manifest | Index>();
    for (const child of document.manifests) {
      if (!isManifestType(child.mediaType) && !isIndexType(child.mediaType)) continue;
      converted.set(child.digest, await this.#convert(await this.#source.document(child), depth + 1));
    }
    return this.#take(newIndex(document, converted), document);
  }

  async #convertManifest(manifest: Manifest): Promise<Manifest | Index> {
    refuseMachine(manifest, manifest.digest);
    // Artifacts have layers that are no tars.
    if (!isConfigType(manifest.config.mediaType)) return manifest;
    const { rootfs } = await readImageConfig(this.#source, manifest, manifest.digest, this.#context.signal);
    const layers: Descriptor[] = [...manifest.layers];
    await inParallel([...layers.entries()], this.#options.concurrency ?? 4, async ([index, layer]) => {
      layers[index] = await this.#convertLayer(layer, rootfs.diffIds[index]!, manifest);
    });
    return this.#take(newManifest(manifest, layers), manifest);
  }

  async #convertLayer(layer: Descriptor, diffId: Digest, manifest: Manifest): Promise<Descriptor> {
    if (isKept(layer, this.#options.compression)) {
      const facts = { uncompressedSize: null, entries: null, refused: null };
      this.#kept.set(layer.digest, { diffId, from: layer, to: layer, ...facts });
      return layer;
    }
    let making = this.#layers.get(layer.digest);
    if (making === undefined) {
      making = this.#make(layer, diffId, manifest);
      making.catch((error: unknown) => this.#failed.abort(error));
      this.#layers.set(layer.digest, making);
    }
    const { result, file } = await making;
    if (result.diffId !== diffId) throw mismatch(layer, result.diffId, diffId);
    this.#files.set(result.to.digest, file);
    return result.to;
  }

  async #make(layer: Descriptor, diffId: Digest, manifest: Manifest): Promise<Made> {
    const { store, threads, signal, onProgress } = this.#context;
    const { compression, level = COMPRESSION_LEVELS[compression].usual } = this.#options;
    await using stack = new AsyncDisposableStack();
    const output = stack.use(await UnnamedFile.create(store.root));
    await using input = await openLayerFile(this.#context, this.#source, layer, diffId);
    const total = input.isTar ? input.size : (await store.layers.get(layer.digest))?.uncompressedSize;
    const known = total === undefined || total === 0 ? {} : { total };
    const meter = new UnpackMeter({ digest: layer.digest, ...known, compresses: true, emit: onProgress });
    let told = 0;
    const made = await threads.recompress(wholeFile(input), output.descriptor, {
      compression,
      level,
      signal,
      isTar: input.isTar,
      algorithm: digestAlgorithm(diffId),
      onProgress(done) {
        meter.advance(done - told, 0);
        told = done;
      },
    });
    meter.finish();
    if (made.diffId !== diffId) throw mismatch(layer, made.diffId, diffId);
    if (made.refused !== undefined) {
      onProgress({ type: "warning", message: refusal(layer, made.refused.message), digest: layer.digest });
    }
    output.filledTo(made.size);
    stack.move();
    const { uncompressedSize, entries, refused } = made;
    const to = newDescriptor(layer, manifest, compression, made);
    const result = { diffId, from: layer, to, uncompressedSize, entries, refused: refused?.message ?? null };
    return { result, file: output };
  }

  #take(bytes: Uint8Array | undefined, before: Manifest | Index): Manifest | Index {
    if (bytes === undefined) return before;
    const document = parseManifest(bytes);
    this.#documents.set(document.digest, document);
    return document;
  }
}

function mismatch({ digest }: Descriptor, found: Digest, expected: Digest): VarveError {
  return new VarveError("DIFFID_MISMATCH", `the layer ${digest} holds ${found}, the image's config says ${expected}`);
}

async function* skip(bytes: AsyncIterable<Uint8Array>, start: number): AsyncGenerator<Uint8Array> {
  let left = start;
  for await (const chunk of bytes) {
    if (left < chunk.length) yield chunk.subarray(left);
    left = Math.max(0, left - chunk.length);
  }
}
