/** Carries out one task: opens its sources, feeds its parts to a writer, and keeps what was good when it fails. */
import { isVarveError, VarveError } from "../errors/varve-error.ts";
import { RangeSet } from "../store/range-set.ts";
import type { BlobStretch, OpenStretch } from "./blob-stretch.ts";
import type { TransferSlot } from "./limiter.ts";
import { sourceChanged, type LocalFiles } from "./local-files.ts";
import { PieceWriter } from "./piece-writer.ts";
import { segmentLength, type LocalSegment, type RemoteSegment } from "./segment.ts";
import type { Part, Task } from "./tasks.ts";
import type { Work } from "./work.ts";

/** What a task draws on and writes to. */
export interface TaskContext {
  readonly work: Work;
  readonly open: OpenStretch;
  readonly files: LocalFiles;
  /** Of the pass; aborting it makes the task stop at its next byte. */
  readonly signal: AbortSignal;
}

/** @throws the source's error, with what was received before it written; or the error of a write */
export async function runTask(task: Task, slot: TransferSlot, context: TaskContext): Promise<void> {
  const parts = task.parts.some(({ held }) => held.length > 0) ? await relyOnHeld(task.parts, context) : task.parts;
  const [first, ...others] = parts;
  if (first === undefined) return;
  try {
    await runParts(parts, slot, context);
  } catch (error) {
    // Any byte of the piece may be the bad one, also those of an earlier try: get all of it once more.
    if (others.length > 0 || first.held.length === 0 || !isBadPiece(error)) throw error;
    await runParts([{ ...first, held: [] }], slot, context);
  }
}

/** What is held of a piece goes into its digest, so it has to be known whether it holds. */
async function relyOnHeld(parts: readonly Part[], { work }: TaskContext): Promise<readonly Part[]> {
  await work.checked();
  const done = work.done();
  return parts.map((part) => ({ ...part, held: part.held.flatMap(({ start, end }) => done.within(start, end)) }));
}

async function runParts(parts: readonly Part[], slot: TransferSlot, context: TaskContext): Promise<void> {
  const writer = new PieceWriter(context.work, slot.buffers, parts[0]!.position);
  try {
    const joined = parts.length > 1 || parts[0]!.held.length === 0;
    if (parts[0]!.segment.kind === "remote" && joined) await writeJoined(parts, writer, context);
    else for (const part of parts) await writePart(part, writer, context, rangeCopier(part, writer, context));
    await writer.flush();
  } catch (error) {
    await writer.salvage();
    const bad = isBadPiece(error) ? parts.find((part) => part.position === error.detail["position"]) : undefined;
    if (bad !== undefined) {
      context.work.takeBack(bad.position, segmentLength(bad.segment), new RangeSet(bad.held).bytes);
    }
    throw error;
  }
}

/** Remote parts that follow each other in their blob: one request for all. */
async function writeJoined(parts: readonly Part[], writer: PieceWriter, context: TaskContext): Promise<void> {
  const first = parts[0]!.segment as RemoteSegment;
  const last = parts.at(-1)!.segment as RemoteSegment;
  const stretch = await context.open(first.blob, first.start, last.start + last.length);
  try {
    for (const part of parts) await writePart(part, writer, context, (from, to) => copy(stretch, to - from, writer));
    await stretch.finish();
  } finally {
    stretch.close();
  }
}

/** Puts bytes `[from, to)` of a part into the writer. */
type CopyRange = (from: number, to: number) => Promise<void>;

async function writePart(part: Part, writer: PieceWriter, context: TaskContext, copyRange: CopyRange): Promise<void> {
  const { segment, position, held } = part;
  context.signal.throwIfAborted();
  if (segment.kind === "zero") return writer.zeros(segment.length);
  if (segment.kind === "data") {
    writer.kind("data");
    return writer.put(segment.bytes);
  }
  if (segment.digest === undefined) {
    writer.kind(segment.kind);
    return copyRange(0, segment.length);
  }
  try {
    await writer.beginPiece(segment.digest, segment.length);
    let at = 0;
    for (const range of [...held, { start: position + segment.length, end: position + segment.length }]) {
      writer.kind(segment.kind);
      if (range.start - position > at) await copyRange(at, range.start - position);
      writer.kind("held");
      await copyHeld(range.start, range.end, writer, context);
      at = range.end - position;
    }
    await writer.endPiece();
  } catch (error) {
    throw badPiece(error, part);
  }
}

function rangeCopier({ segment }: Part, writer: PieceWriter, context: TaskContext): CopyRange {
  return async (from, to) => {
    if (segment.kind === "local") return copyLocal(segment, from, to, writer, context);
    if (segment.kind !== "remote") return;
    const stretch = await context.open(segment.blob, segment.start + from, segment.start + to);
    try {
      await copy(stretch, to - from, writer);
      await stretch.finish();
    } finally {
      stretch.close();
    }
  };
}

async function copy(stretch: BlobStretch, length: number, writer: PieceWriter): Promise<void> {
  for (let left = length; left > 0;) {
    const chunk = await stretch.read(left);
    left -= chunk.length;
    await writer.put(chunk);
  }
}

async function copyLocal(
  segment: LocalSegment,
  from: number,
  to: number,
  writer: PieceWriter,
  { files, signal }: TaskContext,
): Promise<void> {
  for (let at = from; at < to;) {
    signal.throwIfAborted();
    const room = await writer.room();
    const count = Math.min(room.length, to - at);
    await files.readInto(room.subarray(0, count), segment, segment.start + at);
    writer.advance(count);
    at += count;
  }
}

async function copyHeld(start: number, end: number, writer: PieceWriter, { work, signal }: TaskContext): Promise<void> {
  for (let at = start; at < end;) {
    signal.throwIfAborted();
    const count = Math.min((await writer.room()).length, end - at);
    await writer.put(await work.ingest.read(at, count));
    at += count;
  }
}

function isBadPiece(error: unknown): error is VarveError {
  return (
    (isVarveError(error, "DIGEST_MISMATCH") || isVarveError(error, "SOURCE_CHANGED")) && "position" in error.detail
  );
}

/** Says which piece is bad and where it is, so that it can be taken back, and planned without. */
function badPiece(error: unknown, { segment, position }: Part): unknown {
  if (isVarveError(error, "SOURCE_CHANGED") && segment.kind === "local")
    return sourceChanged(segment, error.cause, position);
  if (!isVarveError(error, "DIGEST_MISMATCH")) return error;
  if (segment.kind === "local") return sourceChanged(segment, error, position);
  return new VarveError("DIGEST_MISMATCH", error.message, { detail: { ...error.detail, segment, position } });
}
