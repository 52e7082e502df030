/**
 * Any layer blob to its tar: gzip with any number of members (RFC 1952), zstd with any number of frames (RFC 8878),
 * or nothing at all, told apart by magic. Measured: inflating in pieces of 1 MiB is 1.6 times as fast as in Node's
 * default 16 KiB, because each piece is a trip to the thread pool and back.
 */
import { VarveError } from "../errors/varve-error.ts";
import { releaseUpTo } from "../sys/release-buffer.ts";
import { ChunkReader } from "./chunk-reader.ts";
import { Inflater } from "./inflater.ts";
import { SNIFF_BYTES, sniffCompression, type Compression } from "./sniff.ts";
import { ZstdFrameWalker } from "./zstd/frame-walker.ts";

export interface DecompressOptions {
  /** Default: by the stream's magic. */
  readonly compression?: Compression;
  /** Bytes of the largest piece that comes out. Default 1 MiB. */
  readonly chunkSize?: number;
  readonly signal?: AbortSignal;
  /** As that of `Inflater`. */
  readonly windowLogMax?: number;
  /** Pieces are lent until the next is asked for, and their memory is then given back at once. Default: they are given. */
  readonly lend?: boolean;
  /** Inflates gzip in the place of the decoder that is built in. */
  readonly gunzip?: (source: AsyncIterable<Uint8Array>) => AsyncIterable<Uint8Array>;
}

const MIB = 1024 * 1024;

/**
 * The uncompressed bytes, in pieces of at most `chunkSize` that belong to whoever takes them (but share memory with
 * their neighbours: never transfer their buffer). Nothing is read or inflated beyond the piece after the one taken.
 * An input without a byte gives no output, whatever it should have been.
 * @throws COMPRESSION_INVALID when the data is corrupt, cut short, or followed by anything but NUL padding (gzip);
 * the source's own errors and the signal's reason as they are
 */
export async function* decompress(
  source: AsyncIterable<Uint8Array>,
  options: DecompressOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const { chunkSize = MIB, signal, lend = false, gunzip } = options;
  await using reader = new ChunkReader(source, signal);
  const head = await readHead(reader);
  if (head.length === 0) return;
  const compression = options.compression ?? sniffCompression(head);
  if (compression === "none") yield* passThrough(reader, chunkSize);
  else if (compression === "gzip" && gunzip !== undefined) yield* gunzip(chunksOf(reader));
  else if (lend) yield* lent(inflate(reader, compression, chunkSize, options));
  else yield* inflate(reader, compression, chunkSize, options);
}

/** Enough bytes to sniff, which are then unread. */
async function readHead(reader: ChunkReader): Promise<Uint8Array> {
  let head: Uint8Array = Buffer.alloc(0);
  while (head.length < SNIFF_BYTES) {
    const chunk = await reader.next();
    if (chunk === undefined) break;
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk]);
  }
  if (head.length > 0) reader.unread(head);
  return head;
}

async function* chunksOf(reader: ChunkReader): AsyncGenerator<Uint8Array, void, undefined> {
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) yield chunk;
}

async function* passThrough(reader: ChunkReader, chunkSize: number): AsyncGenerator<Uint8Array, void, undefined> {
  for (;;) {
    const chunk = await reader.next();
    if (chunk === undefined) return;
    for (let at = 0; at < chunk.length; at += chunkSize) yield chunk.subarray(at, at + chunkSize);
  }
}

async function* lent(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  for await (const piece of pieces) {
    yield piece;
    // The engine fills its buffers from the start and lets go of one when it is full.
    releaseUpTo(piece);
  }
}

async function* inflate(
  reader: ChunkReader,
  compression: "gzip" | "zstd",
  chunkSize: number,
  { signal, windowLogMax }: DecompressOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  using inflater = new Inflater(compression, chunkSize, signal, windowLogMax === undefined ? {} : { windowLogMax });
  const walker = compression === "zstd" ? new ZstdFrameWalker() : undefined;
  let written = 0;
  for (;;) {
    const chunk = await reader.next();
    if (chunk === undefined) break;
    if (chunk.length === 0) continue;
    walker?.write(chunk);
    if (!inflater.ended) yield* inflater.digest(chunk);
    written += chunk.length;
    const unused = Math.min(chunk.length, written - inflater.used);
    if (unused > 0) checkPadding(chunk.subarray(chunk.length - unused), compression, written - unused);
  }
  walker?.end();
  yield* inflater.finish();
}

/** Tape-minded writers pad gzip files with NULs, and gzip(1), zlib and igzip read over them; Go's reader does not. */
function checkPadding(rest: Uint8Array, compression: string, offset: number): void {
  if (compression === "gzip" && rest.every((byte) => byte === 0)) return;
  throw new VarveError("COMPRESSION_INVALID", `something else follows the ${compression} data, at byte ${offset}`);
}
