/**
 * Blobs of chunks that were given up, made again of the disk that is held: what was encoded here comes out the same. Of images that others made it does
 * not, which the first of their chunks tells; their blobs come from where they were pulled.
 */
import { tmpdir } from "node:os";
import type { DiskChunk } from "../../codec/tart/disk-image.ts";
import { zeroContents } from "../../codec/tart/zero-digests.ts";
import { COPY_CALLS } from "../../disk/copy-calls.ts";
import { CopySource } from "../../disk/copy-source.ts";
import type { PlannedChunk } from "../../disk/import/chunk-plan.ts";
import type { ChunkEncoding } from "../../disk/import/encode-chunk.ts";
import { encodersHere } from "../../disk/import/encoders.ts";
import { toVarveError } from "../../errors/from-system.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import type { LayerRecord } from "../../store/layer-records.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";

const ENCODINGS: readonly ChunkEncoding[] = ["indexed", "plain"];

/** Where the bytes of a chunk are; nowhere when they are zeros. */
interface Place {
  readonly path?: string;
  readonly chunk: PlannedChunk;
}

interface Made {
  readonly file: UnnamedFile;
  readonly encoding: ChunkEncoding;
}

/** Of one image, as long as it is read. */
export class GivenChunks {
  readonly #context: TransferContext;
  /** How the image's chunks were encoded, once one was made again: first what it was, nothing when it was none of ours. */
  #encodings: Promise<readonly ChunkEncoding[]> | undefined;

  constructor(context: TransferContext) {
    this.#context = context;
  }

  /**
   * The blob of a chunk of Apple LZ4 in a file without a name, which is the caller's to dispose of; undefined when it cannot be made. In memory are a few MiB.
   * @throws the signal's reason
   */
  async make(blob: Descriptor, signal: AbortSignal): Promise<UnnamedFile | undefined> {
    const place = await this.#find(blob, signal);
    if (place === undefined) return undefined;
    if (this.#encodings !== undefined) return (await this.#try(blob, place, await this.#encodings, signal))?.file;
    const { promise, resolve } = Promise.withResolvers<readonly ChunkEncoding[]>();
    this.#encodings = promise;
    let encodings = ENCODINGS;
    try {
      const made = await this.#try(blob, place, ENCODINGS, signal);
      const others = ENCODINGS.filter((encoding) => encoding !== made?.encoding);
      encodings = made === undefined ? [] : [made.encoding, ...others];
      return made?.file;
    } finally {
      resolve(encodings);
    }
  }

  /** What goes wrong with the disk is no reason not to ask the registry. */
  async #try(
    blob: Descriptor,
    place: Place,
    encodings: readonly ChunkEncoding[],
    signal: AbortSignal,
  ): Promise<Made | undefined> {
    try {
      for (const encoding of encodings) {
        const file = await this.#encode(blob, place, encoding, signal);
        if (file !== undefined) return { file, encoding };
      }
      return undefined;
    } catch (error) {
      signal.throwIfAborted();
      if (toVarveError(error).code === "INTERNAL") throw error;
      return undefined;
    }
  }

  async #encode(
    blob: Descriptor,
    { path, chunk }: Place,
    encoding: ChunkEncoding,
    signal: AbortSignal,
  ): Promise<UnnamedFile | undefined> {
    const { store, encoders } = this.#context;
    await using stack = new AsyncDisposableStack();
    const disk = path === undefined ? undefined : stack.use(await CopySource.open(path, COPY_CALLS));
    await using kept = new AsyncDisposableStack();
    // A store may be one that can only be read.
    const created = UnnamedFile.create(store.root).catch(() => UnnamedFile.create(tmpdir()));
    const file = kept.use(await created);
    const threads = (await encoders?.()) ?? encodersHere;
    const options = { encoding, signal, output: file.descriptor };
    const made = await threads.encode(disk?.descriptor ?? file.descriptor, chunk, options);
    if (made.digest !== blob.digest || made.size !== blob.size) return undefined;
    file.filledTo(made.size);
    kept.move();
    return file;
  }

  async #find(blob: Descriptor, signal: AbortSignal): Promise<Place | undefined> {
    const { store } = this.#context;
    const record = await store.layers.get(blob.digest);
    if (record === undefined) return undefined;
    const { diffId, uncompressedSize: size } = record;
    const [held] = (await store.disks.findContents([diffId])).get(diffId) ?? [];
    if (held !== undefined) {
      const { path, offset } = held;
      return held.size === size ? { path, chunk: { offset, size, runs: [{ offset, length: size }] } } : undefined;
    }
    const zeros = await zeroContents([chunkOf(blob, record)], { signal });
    return zeros.has(diffId) ? { chunk: { offset: 0, size, runs: [] } } : undefined;
  }
}

function chunkOf(blob: Descriptor, { diffId: digest, uncompressedSize: size }: LayerRecord): DiskChunk {
  return { blob, coding: "apple-lz4", offset: 0, size, digest };
}
