/**
 * Finds out what the blobs of a disk hold of which the manifest does not say it (formats "tart" §2 and §6): chunks without a digest of their bytes, and
 * the one stream of Tart's first version. The blobs are in the store, and whole; they are decoded once for this, and once more for the disk.
 */
import { decodeAppleLz4 } from "../../codec/apple-lz4/decoder.ts";
import { decompress } from "../../codec/decompress.ts";
import { decodeLz4Frames } from "../../codec/lz4-frames/decoder.ts";
import { isZero } from "../../codec/zero-runs.ts";
import type { ChunkedDisk, DiskChunk, StreamedDisk } from "../../codec/tart/disk-image.ts";
import { VarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { Digester, type Digest } from "../../oci/digest.ts";
import type { DiskContent } from "../../store/disks/types.ts";
import type { Store } from "../../store/store.ts";

/** As current Tart cuts disks, so that its images find here what they share with those of its first version. */
const PIECE_BYTES = 512 << 20;
/** No byte of Apple LZ4 makes more. */
const MOST_EXPANSION = 256;

/** The same disk, with the digests of all its chunks. @throws VarveError `SIZE_MISMATCH`, `COMPRESSION_INVALID` */
export async function nameChunks(store: Store, disk: ChunkedDisk, signal: AbortSignal): Promise<ChunkedDisk> {
  const named = new Map<string, DiskChunk>();
  const chunks: DiskChunk[] = [];
  for (const chunk of disk.chunks) {
    const known = named.get(chunk.blob.digest);
    const digest = chunk.digest ?? known?.digest ?? (await digestOfChunk(store, chunk, signal));
    named.set(chunk.blob.digest, { ...chunk, digest });
    chunks.push({ ...chunk, digest });
  }
  return { ...disk, chunks };
}

async function digestOfChunk({ content }: Store, chunk: DiskChunk, signal: AbortSignal): Promise<Digest> {
  const { blob, size } = chunk;
  const digester = new Digester();
  for await (const bytes of decoded(chunk, content.read(blob.digest, { signal }), signal)) {
    digester.update(bytes);
    if (digester.size > size) break;
  }
  if (digester.size === size) return digester.digest();
  throw new VarveError("SIZE_MISMATCH", `${blob.digest} holds other than the ${size} bytes of a disk that are said`, {
    detail: { digest: blob.digest },
  });
}

/** Lent until the next is asked for. */
function decoded(
  { coding, size }: DiskChunk,
  source: AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): AsyncIterable<Uint8Array> {
  switch (coding) {
    case "apple-lz4":
      return decodeAppleLz4(source, { size, signal });
    case "lz4-frames":
      return decodeLz4Frames(source, { size, signal });
    case "gzip":
      return decompress(source, { compression: "gzip", signal, lend: true });
    case "stored":
      return source;
  }
}

/** A piece of a stream. */
export interface StreamPiece extends DiskContent {
  /** Nothing but zeros: a hole. */
  readonly isZeros: boolean;
}

/** What the stream holds, in pieces. @throws VarveError `SIZE_MISMATCH`, `COMPRESSION_INVALID` */
export async function namePieces(store: Store, disk: StreamedDisk, signal: AbortSignal): Promise<StreamPiece[]> {
  const pieces: StreamPiece[] = [];
  let [digester, offset, isZeros] = [new Digester(), 0, true];
  const end = (): void => {
    const { size } = digester;
    if (size === 0) return;
    pieces.push({ digest: digester.digest(), size, offset, isZeros });
    [digester, offset, isZeros] = [new Digester(), offset + size, true];
  };
  for await (const bytes of streamedBytes(store, disk, signal)) {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + PIECE_BYTES - digester.size);
      digester.update(part);
      isZeros &&= isZero(part, 0, part.length);
      at += part.length;
      if (digester.size === PIECE_BYTES) end();
    }
  }
  end();
  return pieces;
}

/** All bytes of the disk, in pieces that are lent until the next is asked for. */
export function streamedBytes(store: Store, { blobs }: StreamedDisk, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const encoded = blobs.reduce((sum, { size }) => sum + size, 0);
  return decodeAppleLz4(joined(store, blobs, signal), { atMost: encoded * MOST_EXPANSION, signal });
}

async function* joined(
  { content }: Store,
  blobs: readonly Descriptor[],
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (const { digest } of blobs) yield* content.read(digest, { signal });
}
