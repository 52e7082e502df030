/**
 * A chunk of a disk as a stream of Apple LZ4 (formats "tart" §2 and §3), with the digests of both. The same bytes always become the same blob, whether
 * they are read or holes: so a blob that was given up can be made again from its disk.
 */
import { setImmediate as turn } from "node:timers/promises";
import { AppleLz4Encoder } from "../../codec/apple-lz4/encoder.ts";
import { writeChunkIndex } from "../../codec/disk-index/chunk-index.ts";
import { IndexedEncoder } from "../../codec/disk-index/indexed-encoder.ts";
import type { BlobFacts, ChunkBlob } from "../../codec/tart/write-tart.ts";
import { VarveError } from "../../errors/varve-error.ts";
import { Digester } from "../../oci/digest.ts";
import { COPY_CALLS, readFully, writeFully } from "../copy-calls.ts";
import type { PlannedChunk } from "./chunk-plan.ts";

/** How the blob is made: such that its pieces can be had alone, or not. */
export type ChunkEncoding = "indexed" | "plain";

export interface EncodeChunkOptions {
  /** Default `indexed`. */
  readonly encoding?: ChunkEncoding;
  /** An open file that the blob is written to, from its beginning. Default: it is only hashed. */
  readonly output?: number;
  readonly signal?: AbortSignal;
  /** Told of the chunk's bytes that are done, holes too. */
  readonly onProgress?: (done: number) => void;
}

export interface EncodedChunk extends ChunkBlob {
  /** Where the pieces of an indexed blob lie in it (codec/disk-index). Of zeros none is made: nobody fetches those. */
  readonly index?: Uint8Array;
}

/** Read and written at once. */
const STEP = 1 << 20;
const TURN = 4 << 20;
const ZEROS = Buffer.alloc(STEP);

/**
 * @param disk an open file
 * @throws VarveError `SOURCE_CHANGED` when it ends before the chunk does; the signal's reason; NodeJS.ErrnoException
 */
export async function encodeChunk(
  disk: number,
  chunk: PlannedChunk,
  options: EncodeChunkOptions = {},
): Promise<EncodedChunk> {
  const { encoding = "indexed", output, signal, onProgress } = options;
  signal?.throwIfAborted();
  // Chunks are cut where borders of pieces may be, so it does not matter where in the disk this one lies.
  const encoder = encoding === "indexed" ? new IndexedEncoder({ offset: 0 }) : new AppleLz4Encoder();
  const content = new Digester();
  const blob = new BlobWriter(output);
  for await (const bytes of bytesOf(disk, chunk)) {
    signal?.throwIfAborted();
    content.update(bytes);
    const isHole = bytes.buffer === ZEROS.buffer;
    const pieces = isHole && encoder instanceof IndexedEncoder ? encoder.skip(bytes.length) : encoder.write(bytes);
    for (const piece of pieces) await blob.add(piece);
    // Nothing is read of holes, so nobody else would get a turn.
    if (isHole && content.size % TURN < STEP) await turn();
    onProgress?.(content.size);
  }
  for (const piece of encoder.end()) await blob.add(piece);
  await blob.flush();
  const size = content.size;
  const encoded: ChunkBlob = { ...blob.facts(), content: { digest: content.digest(), size } };
  if (!(encoder instanceof IndexedEncoder)) return encoded;
  const { pieces } = encoder;
  if (isZeros(pieces)) return encoded;
  return { ...encoded, index: writeChunkIndex({ blob: encoded, content: encoded.content, pieces }) };
}

function isZeros(pieces: IndexedEncoder["pieces"]): boolean {
  for (let piece = 0; piece < pieces.length; piece++) if (!pieces.isZeros(piece)) return false;
  return true;
}

/** Only what the chunk holds. @throws as {@link encodeChunk} */
export async function hashChunk(disk: number, chunk: PlannedChunk, signal: AbortSignal): Promise<BlobFacts> {
  const content = new Digester();
  for await (const bytes of bytesOf(disk, chunk)) {
    signal.throwIfAborted();
    content.update(bytes);
    if (content.size % TURN < STEP) await turn();
  }
  return { digest: content.digest(), size: chunk.size };
}

/** The chunk's bytes, lent until the next are asked for; those of holes are parts of {@link ZEROS}. */
async function* bytesOf(disk: number, { offset, size, runs }: PlannedChunk): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(STEP, size));
  let at = offset;
  for (const run of runs) {
    yield* zeros(run.offset - at);
    at = run.offset;
    for (const end = run.offset + run.length; at < end;) {
      const wanted = Math.min(buffer.length, end - at);
      const got = await readFully(COPY_CALLS, disk, buffer, wanted, at);
      if (got < wanted) throw new VarveError("SOURCE_CHANGED", "the disk became shorter while it was read");
      at += got;
      yield buffer.subarray(0, got);
    }
  }
  yield* zeros(offset + size - at);
}

function* zeros(length: number): Generator<Buffer> {
  for (let left = length; left > 0; left -= STEP) yield left < STEP ? ZEROS.subarray(0, left) : ZEROS;
}

/** Hashes what is lent to it, and writes it in larger pieces. */
class BlobWriter {
  readonly #digester = new Digester();
  readonly #output: number | undefined;
  readonly #buffer: Buffer;
  #filled = 0;
  #written = 0;

  constructor(output: number | undefined) {
    this.#output = output;
    this.#buffer = Buffer.allocUnsafeSlow(output === undefined ? 0 : STEP);
  }

  /** @param bytes at most a block, with its header */
  async add(bytes: Uint8Array): Promise<void> {
    this.#digester.update(bytes);
    if (this.#output === undefined) return;
    if (this.#filled + bytes.length > this.#buffer.length) await this.flush();
    this.#buffer.set(bytes, this.#filled);
    this.#filled += bytes.length;
  }

  async flush(): Promise<void> {
    if (this.#output === undefined || this.#filled === 0) return;
    await writeFully(COPY_CALLS, this.#output, this.#buffer, [0, this.#filled], this.#written);
    this.#written += this.#filled;
    this.#filled = 0;
  }

  facts(): Pick<ChunkBlob, "digest" | "size"> {
    const size = this.#digester.size;
    return { digest: this.#digester.digest(), size };
  }
}
