/** The indexes of the chunks that are missing, fetched and read: each held to its digest, to its chunk, and to what it may take in memory. */
import { readChunkIndex } from "../../../codec/disk-index/chunk-index.ts";
import type { ChunkPieces } from "../../../codec/disk-index/chunk-pieces.ts";
import { largestIndex } from "../../../codec/disk-index/format.ts";
import type { Descriptor } from "../../../oci/descriptor.ts";
import type { Digest } from "../../../oci/digest.ts";
import type { DiskContents } from "../../../plan/disk-contents.ts";
import type { BlobSource } from "../../../registry/blob-source.ts";
import { inParallel } from "../../in-parallel.ts";
import { verified } from "../../transports/verified.ts";

/** Of all indexes together: some 50 GB of a disk's data that is missing. Contents beyond come whole. */
const MOST_PIECES = 1 << 20;
/** An index that has more than that share of its chunk's blob saves little at best. */
const LARGEST_SHARE = 1 / 4;

export interface FetchIndexesOptions {
  readonly blobs: BlobSource;
  /** Requests at once. */
  readonly concurrency: number;
  readonly signal: AbortSignal;
  /** Told of an index that cannot be had, or cannot be used. */
  readonly onFallback: (chunk: Digest, error: unknown) => void;
}

/** By number of the content; in its order. */
export type ContentIndexes = ReadonlyMap<number, ChunkPieces>;

/**
 * @param missing numbers of the contents
 * @throws the signal's reason
 */
export async function fetchIndexes(
  contents: DiskContents,
  missing: readonly number[],
  indexes: ReadonlyMap<Digest, Descriptor>,
  { blobs, concurrency, signal, onFallback }: FetchIndexesOptions,
): Promise<ContentIndexes> {
  const found = new Map<number, ChunkPieces>();
  let pieces = 0;
  await inParallel(missing, concurrency, async (content) => {
    const { blob, digest, size, coding } = contents.chunk(content);
    const index = indexes.get(blob.digest);
    const isOfUse = coding === "apple-lz4" && index !== undefined && index.size <= blob.size * LARGEST_SHARE;
    if (!isOfUse || index.size > largestIndex(size) || pieces >= MOST_PIECES) return;
    let own = 0;
    const reserve = (count: number): boolean => {
      if (pieces + count > MOST_PIECES) return false;
      pieces += own = count;
      return true;
    };
    try {
      const bytes = verified(blobs.readBlob(index, { signal }), index, { signal });
      const read = await readChunkIndex(bytes, { blob, content: { digest, size }, reserve });
      found.set(content, read);
    } catch (error) {
      pieces -= own;
      signal.throwIfAborted();
      onFallback(blob.digest, error);
    }
  });
  return new Map([...found].toSorted(([a], [b]) => a - b));
}
