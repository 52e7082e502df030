/** Puts one part of a task into the writer: from its source, verified where its digest is known, and said which one it is when it is bad. */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import type { BlobStretch } from "./blob-stretch.ts";
import type { FrameReader } from "./frame-reader.ts";
import type { Part } from "./gather.ts";
import { sourceChanged, type LocalFiles } from "./local-files.ts";
import type { PieceWriter } from "./piece-writer.ts";
import { shareLocal } from "./share-local.ts";
import type { SmallLocals } from "./small-locals.ts";
import { segmentLength, type LocalSegment } from "./segment.ts";
import type { Work } from "./work.ts";

export interface PartContext {
  readonly work: Work;
  readonly files: LocalFiles;
  readonly writer: PieceWriter;
  /** Of the pass; aborting it makes the task stop at its next byte. */
  readonly signal: AbortSignal;
}

/** Puts bytes of a part, which begin and end at offsets in it, into the writer. */
export type CopyRange = (from: number, to: number) => Promise<void>;

export interface PartSource {
  /** What is not here yet. */
  readonly copy: CopyRange;
  /** What is: it goes into the digest too. */
  readonly copyHeld: CopyRange;
  /** Called before the first and after the last byte. */
  readonly begin?: () => Promise<void>;
  readonly end?: () => Promise<void>;
}

/** What a task has at hand for its small parts. */
export interface AtHand {
  readonly locals: SmallLocals;
  /** Where the task has any. */
  readonly frames?: FrameReader | undefined;
}

/**
 * Puts a part that is small and need not be waited for, and that leaves the buffer unfilled: cheap, however many of them there are.
 * @returns whether it was done
 * @throws as {@link writePart}
 */
export function writeAtOnce(parts: readonly Part[], index: number, writer: PieceWriter, atHand: AtHand): boolean {
  const part = parts[index]!;
  const { segment } = part;
  if (segment.kind === "data") {
    const { bytes, local = 0 } = segment;
    if (local === 0) return writer.putWhole("data", bytes);
    if (!writer.hasRoomFor(bytes.length)) return false;
    return writer.putWhole("local", bytes.subarray(0, local)) && writer.putWhole("data", bytes.subarray(local));
  }
  if (segment.kind !== "frames" && segment.kind !== "local") return false;
  if (part.held.length > 0 || !writer.hasRoomFor(segmentLength(segment))) return false;
  const isLocal = segment.kind === "local";
  const bytes = isLocal ? atHand.locals.whole(parts, index) : atHand.frames?.whole();
  if (bytes === undefined) return false;
  try {
    return writer.putWhole(isLocal ? "local" : "remote", bytes, segment.digest);
  } catch (error) {
    throw badPiece(error, part, Infinity);
  }
}

/** @throws what the source throws; of a piece that is bad, with `detail.position` and `detail.segment` */
export async function writePart(part: Part, context: PartContext, source: PartSource): Promise<void> {
  const { segment, position, held } = part;
  const { writer, work } = context;
  context.signal.throwIfAborted();
  if (segment.kind === "zero") return writer.zeros(segment.length);
  if (segment.kind === "data") {
    const { bytes, local = 0 } = segment;
    writer.kind("local");
    await writer.put(bytes.subarray(0, local));
    writer.kind("data");
    return writer.put(bytes.subarray(local));
  }
  const { digest } = segment;
  const kind = segment.kind === "local" ? "local" : "remote";
  const length = segmentLength(segment);
  try {
    if (digest !== undefined) await writer.beginPiece(digest, length);
    await source.begin?.();
    let at = 0;
    for (const range of [...held, { start: position + length, end: position + length }]) {
      writer.kind(kind);
      if (range.start - position > at) await source.copy(at, range.start - position);
      writer.kind("held");
      if (range.end > range.start) await source.copyHeld(range.start - position, range.end - position);
      at = range.end - position;
    }
    await source.end?.();
    if (digest !== undefined) await writer.endPiece();
  } catch (error) {
    throw digest === undefined && segment.kind !== "frames" ? error : badPiece(error, part, work.ingest.size);
  }
}

export function fromStretch(stretch: BlobStretch, part: Part, context: PartContext): PartSource {
  return { copy: (from, to) => copyStretch(stretch, to - from, context.writer), copyHeld: heldCopier(part, context) };
}

/** What is here of the frames comes out of the decoder as well, so it is not read. */
export function fromFrames(frames: FrameReader, { writer }: PartContext): PartSource {
  const copy: CopyRange = async (from, to) => {
    for (let at = from; at < to;) {
      const bytes = await frames.read(to - at);
      await writer.put(bytes);
      at += bytes.length;
    }
  };
  return { copy, copyHeld: copy, begin: () => frames.begin(), end: () => frames.end() };
}

export function fromFile(segment: LocalSegment, part: Part, context: PartContext): PartSource {
  const { work, writer } = context;
  const copy: CopyRange = async (from, to) => {
    const shared = await shareLocal(segment, part, { start: from, end: to }, context);
    const { start, end } = shared ?? { start: to, end: to };
    await copyFile(segment, from, start, context);
    if (shared !== undefined) {
      // Read from where it is now, so that what is hashed is what is kept, whatever happens to the other file.
      writer.inPlace(true);
      const { path, offset = 0 } = work.ingest;
      await copyFile({ ...segment, path, start: offset + part.position }, start, end, context);
      writer.inPlace(false);
    }
    await copyFile(segment, end, to, context);
  };
  return { copy, copyHeld: heldCopier(part, context) };
}

async function copyFile(segment: LocalSegment, from: number, to: number, context: PartContext): Promise<void> {
  const { files, signal, writer } = context;
  for (let at = from; at < to;) {
    signal.throwIfAborted();
    const room = await writer.room();
    const count = Math.min(room.length, to - at);
    await files.readInto(room.subarray(0, count), segment, segment.start + at);
    writer.advance(count);
    at += count;
  }
}

export function heldCopier({ position }: Part, { work, writer, signal }: PartContext): CopyRange {
  return async (from, to) => {
    for (let at = position + from; at < position + to;) {
      signal.throwIfAborted();
      const count = Math.min((await writer.room()).length, position + to - at);
      await writer.put(await work.ingest.read(at, count));
      at += count;
    }
  };
}

export async function copyStretch(stretch: BlobStretch, length: number, writer: PieceWriter): Promise<void> {
  for (let left = length; left > 0;) {
    const chunk = await stretch.read(left);
    left -= chunk.length;
    await writer.put(chunk);
  }
}

/** Whether an error says that what came for a piece is not what it should be. */
export function isBadPiece(error: unknown): error is VarveError {
  return isVarveError(error) && "position" in error.detail && BAD.has(error.code);
}

const BAD: ReadonlySet<string> = new Set(["DIGEST_MISMATCH", "SOURCE_CHANGED", "COMPRESSION_INVALID", "SIZE_MISMATCH"]);

/**
 * Says which piece is bad and where it is, so that it can be taken back, and planned without.
 * @param size of the target; where the bad frames are all of it, or go on from what an earlier try left, nobody knows which byte of all is bad
 */
function badPiece(error: unknown, { segment, position }: Part, size: number): unknown {
  if (isVarveError(error, "SOURCE_CHANGED") && segment.kind === "local")
    return sourceChanged(segment, error.cause, position);
  const isFrames = segment.kind === "frames";
  const isBroken = isFrames && (isVarveError(error, "COMPRESSION_INVALID") || isVarveError(error, "SIZE_MISMATCH"));
  if (!isBroken && !isVarveError(error, "DIGEST_MISMATCH")) return error;
  if (segment.kind === "local") return sourceChanged(segment, error, position);
  const isAll = isFrames && segment.digest === undefined && (segment.linked === true || segment.size === size);
  const detail = { ...error.detail, segment, position, ...(isAll && { whole: true }) };
  return new VarveError(error.code, error.message, { cause: error, detail });
}
