/**
 * Long stretches of local files are shared with the ingest where the file system can, instead of being written again: nothing is
 * stored twice then. A file system shares whole blocks only, so the places in both files have to be equally far into one, as one
 * in eight of a tar's files is by chance, and all that have not moved.
 */
import type { ByteRange } from "../store/types.ts";
import { SHARED_BLOCK } from "../sys/reflink-range.ts";
import type { Part } from "./gather.ts";
import type { LocalFiles } from "./local-files.ts";
import type { LocalSegment } from "./segment.ts";
import type { Work } from "./work.ts";

/** Longer than any buffer, so that such a piece is never written as one with others. */
const MIN_SHARED = 1 << 20;

/**
 * @param range of the segment
 * @returns what of the range is in place in the ingest's file now, to be verified there
 * @throws VarveError `SOURCE_CHANGED`, `NO_SPACE`, `IO`
 */
export async function shareLocal(
  segment: LocalSegment,
  { position }: Part,
  range: ByteRange,
  { work, files }: { readonly work: Work; readonly files: LocalFiles },
): Promise<ByteRange | undefined> {
  const start = upToBlock(position + range.start) - position;
  const end = Math.floor((position + range.end) / SHARED_BLOCK) * SHARED_BLOCK - position;
  if (end - start < MIN_SHARED || (segment.start + start) % SHARED_BLOCK !== 0) return undefined;
  const from = { start: segment.start + start, length: end - start };
  const shared = await files.withFile(segment, (descriptor) => work.share(position + start, { descriptor, ...from }));
  return shared ? { start, end } : undefined;
}

function upToBlock(position: number): number {
  return Math.ceil(position / SHARED_BLOCK) * SHARED_BLOCK;
}
