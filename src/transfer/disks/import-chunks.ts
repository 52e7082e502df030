/**
 * The chunks of a disk become blobs, as many at once as there are encoders. Each waits in a file without a name, for its digest is known with its last
 * byte. Chunks that are nothing but holes are made once for each size.
 */
import type { BlobFacts, ChunkBlob } from "../../codec/tart/write-tart.ts";
import { chunksOf, dataRuns, type PlannedChunk } from "../../disk/import/chunk-plan.ts";
import { hashChunk, type ChunkEncoding, type EncodedChunk } from "../../disk/import/encode-chunk.ts";
import type { ChunkEncoders } from "../../disk/import/encoders.ts";
import type { CopySource } from "../../disk/copy-source.ts";
import { CopyMeter } from "../../disk/copy-meter.ts";
import { digestOf } from "../../oci/digest.ts";
import { storeFile } from "../commit/store-file.ts";
import { UnnamedFile } from "../commit/unnamed-file.ts";
import type { TransferContext } from "../context.ts";
import { inParallel } from "../in-parallel.ts";
import type { ImportBase } from "./import-base.ts";
import type { ImportHold } from "./import-hold.ts";

export interface ImportChunksOptions {
  readonly chunkSize: number;
  readonly encoders: ChunkEncoders;
  readonly encoding: ChunkEncoding;
  readonly hold: ImportHold;
  /** Chunks that are as in another image have the same blobs. */
  readonly base?: ImportBase | undefined;
  /** Whether the blobs become content, or only their digests are wanted. */
  readonly keep: boolean;
  /** What progress is told of. */
  readonly name: string;
}

/** A chunk whose index, where it has one, is in the store. */
export interface KnownChunk extends ChunkBlob {
  readonly index?: BlobFacts;
}

export interface ImportedChunk extends KnownChunk {
  /** Of its first byte in the disk. */
  readonly offset: number;
  /** Nothing of it was read. */
  readonly isHole: boolean;
  /** The blob is the base's. */
  readonly isReused: boolean;
}

type Made = KnownChunk & Pick<ImportedChunk, "isReused">;

/** @throws VarveError `NO_SPACE`, `SOURCE_CHANGED`, `IO`; the signal's reason */
export async function importChunks(
  context: TransferContext,
  disk: CopySource,
  options: ImportChunksOptions,
): Promise<ImportedChunk[]> {
  const { encoders, chunkSize } = options;
  const planned = [...chunksOf(disk.size, await dataRuns(disk.extents(), context.signal), chunkSize)];
  const work = new ImportWork(context, disk, planned, options);
  const imported: ImportedChunk[] = [];
  await inParallel([...planned.entries()], encoders.lanes, async ([index, chunk]) => {
    imported[index] = await work.import(chunk);
  });
  work.finish();
  return imported;
}

class ImportWork {
  readonly #context: TransferContext;
  readonly #disk: CopySource;
  readonly #options: ImportChunksOptions;
  readonly #holes = new Map<number, Promise<Made>>();
  readonly #meter: CopyMeter;
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  #written = 0;

  constructor(
    context: TransferContext,
    disk: CopySource,
    planned: readonly PlannedChunk[],
    options: ImportChunksOptions,
  ) {
    this.#context = context;
    this.#disk = disk;
    this.#options = options;
    this.#signal = AbortSignal.any([context.signal, this.#failed.signal]);
    this.#meter = new CopyMeter({
      path: options.name,
      phase: "copying",
      total: disk.size,
      dataBytes: planned.reduce((sum, chunk) => sum + dataOf(chunk), 0),
      emit: context.onProgress,
      copied: () => this.#written,
    });
  }

  /** The first failure ends the others, whose blobs would be for nothing. */
  async import(chunk: PlannedChunk): Promise<ImportedChunk> {
    try {
      const isHole = chunk.runs.length === 0;
      const blob = await (isHole ? this.#hole(chunk) : this.#encode(chunk));
      return { ...blob, offset: chunk.offset, isHole };
    } catch (error) {
      this.#failed.abort(error);
      throw error;
    }
  }

  finish(): void {
    this.#meter.finish();
  }

  async #hole(chunk: PlannedChunk): Promise<Made> {
    const blob = await this.#holes.getOrInsertComputed(chunk.size, () => this.#make(chunk, () => undefined));
    this.#meter.advance(chunk.size, 0);
    return blob;
  }

  #encode(chunk: PlannedChunk): Promise<Made> {
    const share = dataOf(chunk) / chunk.size;
    let told = 0;
    return this.#make(chunk, (done) => {
      this.#meter.advance(done - told, Math.round((done - told) * share));
      told = done;
    });
  }

  async #make(chunk: PlannedChunk, onProgress: (done: number) => void): Promise<Made> {
    const { base, hold } = this.#options;
    const [disk, signal] = [this.#disk.descriptor, this.#signal];
    const known = base && (await base.find(await hashChunk(disk, chunk, signal)));
    if (known === undefined) {
      return { ...(await this.#keepIndex(await this.#makeNew(chunk, onProgress))), isReused: false };
    }
    await hold.add(known.digest, ...(known.index === undefined ? [] : [known.index.digest]));
    onProgress(chunk.size);
    return { ...known, isReused: true };
  }

  /** At once, for of a large disk all indexes are more than memory is for. */
  async #keepIndex({ index, ...blob }: EncodedChunk): Promise<KnownChunk> {
    if (index === undefined) return blob;
    const digest = digestOf(index);
    await this.#options.hold.add(digest);
    await this.#context.store.content.writeBytes(digest, index);
    return { ...blob, index: { digest, size: index.length } };
  }

  async #makeNew(chunk: PlannedChunk, onProgress: (done: number) => void): Promise<EncodedChunk> {
    const { store } = this.#context;
    const { encoders, encoding, keep, hold } = this.#options;
    const [disk, signal] = [this.#disk.descriptor, this.#signal];
    if (!keep) return encoders.encode(disk, chunk, { encoding, signal, onProgress });
    await using file = await UnnamedFile.create(store.root);
    const blob = await encoders.encode(disk, chunk, { encoding, signal, onProgress, output: file.descriptor });
    file.filledTo(blob.size);
    this.#written += blob.size;
    await hold.add(blob.digest);
    await storeFile({ store, signal }, blob, file);
    return blob;
  }
}

function dataOf({ runs }: PlannedChunk): number {
  return runs.reduce((sum, { length }) => sum + length, 0);
}
