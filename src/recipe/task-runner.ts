/** Carries out one task: opens its sources, feeds its parts to a writer, and keeps what was good when it fails. */
import { RangeSet } from "../store/range-set.ts";
import type { OpenStretch } from "./blob-stretch.ts";
import type { FrameReader } from "./frame-reader.ts";
import { requestOf, type GatheredRequest, type Part, type Task } from "./gather.ts";
import type { TransferSlot } from "./limiter.ts";
import { borderNotes, historyOf } from "./linked-blocks.ts";
import type { LocalFiles } from "./local-files.ts";
import { PieceWriter } from "./piece-writer.ts";
import { segmentLength, type FramesSegment, type RemoteSegment } from "./segment.ts";
import { SmallLocals } from "./small-locals.ts";
import type { Work } from "./work.ts";
import {
  fromFile,
  fromFrames,
  fromStretch,
  heldCopier,
  isBadPiece,
  copyStretch,
  writeAtOnce,
  writePart,
  type CopyRange,
  type PartContext,
  type PartSource,
} from "./write-part.ts";

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
    const relied = others.length === 0 && first.held.length > 0 && first.segment.kind !== "frames";
    if (!relied || !isBadPiece(error)) throw error;
    await runParts([{ ...first, held: [] }], slot, context);
  }
}

/** What is held of a piece goes into its digest, so it has to be known whether it holds. */
async function relyOnHeld(parts: readonly Part[], { work }: TaskContext): Promise<readonly Part[]> {
  const held = parts.flatMap((part) => part.held);
  await work.checkedWithin(held[0]?.start ?? 0, held.at(-1)?.end ?? 0);
  const done = work.done();
  return parts.map((part) => ({ ...part, held: part.held.flatMap(({ start, end }) => done.within(start, end)) }));
}

async function runParts(parts: readonly Part[], slot: TransferSlot, context: TaskContext): Promise<void> {
  const writer = new PieceWriter(context.work, slot.buffers, parts[0]!.position);
  try {
    await writeParts(parts, { ...context, writer });
    await writer.flush();
  } catch (error) {
    const bad = isBadPiece(error) ? parts.find(({ position }) => position === error.detail["position"]) : undefined;
    const doubtful = bad?.segment.kind === "frames" ? parts.filter(isUnsure) : [];
    await writer.salvage({ doubtful: doubtful.length > 0 });
    if (bad !== undefined) for (const part of new Set([bad, ...doubtful])) takeBack(part, context);
    throw error;
  }
}

interface WriteContext extends TaskContext, PartContext {}

async function writeParts(parts: readonly Part[], context: WriteContext): Promise<void> {
  const request = requestOf({ parts });
  const joined = parts.length > 1 || parts[0]!.held.length === 0;
  const frames = parts.flatMap(({ segment }) => (segment.kind === "frames" ? [segment] : []));
  if (request !== undefined && frames.length > 0) await writeWithFrames(parts, frames, request, context);
  else if (request !== undefined && joined) await writeJoined(parts, request, context);
  else await writeEach(parts, context);
}

/** Remote parts that follow each other in their blob: one request for all. */
async function writeJoined(parts: readonly Part[], request: GatheredRequest, context: WriteContext): Promise<void> {
  const stretch = await context.open(request.blob, request.start, request.end);
  try {
    for (const part of parts) await writePart(part, context, fromStretch(stretch, part, context));
    await stretch.finish();
  } finally {
    stretch.close();
  }
}

/** Frames that lie near each other in their blob, and what lies between them in the target: one request too. */
async function writeWithFrames(
  parts: readonly Part[],
  segments: readonly FramesSegment[],
  request: GatheredRequest,
  context: WriteContext,
): Promise<void> {
  // Most pulls need no decoder here.
  const { FrameReader } = await import("./frame-reader.ts");
  const history = await historyOf(parts, context.work);
  const onBorder = borderNotes(parts, context.work);
  const stretch = await context.open(request.blob, request.start, request.end);
  try {
    await using frames = new FrameReader(stretch, segments, { signal: context.signal, history, onBorder });
    await writeEach(parts, context, frames);
    await frames.finish();
    await stretch.finish();
  } finally {
    stretch.close();
  }
}

async function writeEach(parts: readonly Part[], context: WriteContext, frames?: FrameReader): Promise<void> {
  using locals = new SmallLocals();
  const atHand = { locals, frames };
  for (const [index, part] of parts.entries()) {
    if (writeAtOnce(parts, index, context.writer, atHand)) continue;
    await writePart(part, context, sourceOf(part, context, frames));
  }
}

function sourceOf(part: Part, context: WriteContext, frames: FrameReader | undefined): PartSource {
  const { segment } = part;
  const copyHeld = heldCopier(part, context);
  if (segment.kind === "frames" && frames !== undefined) return fromFrames(frames, context);
  if (segment.kind === "local") return fromFile(segment, part, context);
  const copy: CopyRange = async (from, to) => {
    if (segment.kind === "remote") await writeRange(segment, from, to, context);
  };
  return { copy, copyHeld };
}

/** A request of its own for what is missing of a piece. */
async function writeRange(segment: RemoteSegment, from: number, to: number, context: WriteContext): Promise<void> {
  const stretch = await context.open(segment.blob, segment.start + from, segment.start + to);
  try {
    await copyStretch(stretch, to - from, context.writer);
    await stretch.finish();
  } finally {
    stretch.close();
  }
}

function takeBack({ position, segment, held }: Part, { work }: TaskContext): void {
  work.takeBack(position, segmentLength(segment), new RangeSet(held).bytes);
}

/** Of frames without a digest nobody knows that they ended where they should until a piece behind them comes out right. */
function isUnsure({ segment }: Part): boolean {
  return segment.kind === "frames" && segment.digest === undefined;
}
