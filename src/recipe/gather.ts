/**
 * Which parts of a recipe are one task, and so which bytes of a blob come with one request. Planners ask here what a recipe
 * will cost, and the assembler works off what comes out: what is planned is what is done.
 */
import type { Descriptor } from "../oci/descriptor.ts";
import type { ByteRange } from "../store/types.ts";
import {
  segmentLength,
  type FramesSegment,
  type HeldSegment,
  type Recipe,
  type RemoteSegment,
  type Segment,
} from "./segment.ts";

/** Neighbouring remote segments of one blob are one request up to this size; ranges that a planner cut stay apart. */
const REMOTE_JOIN_BYTES = 4 << 20;
/** Frames that lie near each other are one request up to this size, so that several go on side by side, and one that breaks costs little. */
const FRAMES_JOIN_BYTES = 8 << 20;
/** Bounds of the local, data and zero segments that one slot works off in order: alone, and with frames between them. */
const RUN_BYTES = 8 << 20;
const RUN_PARTS = 1024;
/** Literals are in memory until their task is done. */
const RUN_DATA_BYTES = 2 << 20;
const FRAMES_PARTS = 16_384;

/** A segment with its place, cut to what is missing. */
export interface Part {
  readonly position: number;
  readonly segment: Exclude<Segment, HeldSegment>;
  /**
   * Ranges of the target inside this part that are there already. Only where the segment cannot be cut: because it has a
   * digest and is verified as one, or because it is made of frames.
   */
  readonly held: readonly ByteRange[];
}

/**
 * Parts without gaps between them in the target, done by one slot in order: either remote ones that follow each other in
 * their blob; or any others, of which the frames, if there are any, lie near each other in one blob and in its order.
 */
export interface Task {
  readonly parts: readonly Part[];
}

/** Bytes `[start, end)` of a blob, asked for at once. */
export interface GatheredRequest {
  readonly blob: Descriptor;
  readonly start: number;
  readonly end: number;
}

/** What a task asks a registry for, if anything. One remote part of which some is held may be asked for in pieces instead. */
export function requestOf({ parts }: Task): GatheredRequest | undefined {
  const first = parts.find(isFromBlob)?.segment;
  const last = parts.findLast(isFromBlob)?.segment;
  return first === undefined || last === undefined
    ? undefined
    : { blob: first.blob, start: first.start, end: last.start + last.length };
}

export function isFromBlob(part: Part): part is Part & { readonly segment: RemoteSegment | FramesSegment } {
  return part.segment.kind === "remote" || part.segment.kind === "frames";
}

/**
 * The tasks of a recipe that is at hand, in its order; what is held costs nothing, and a task ends at it. Pure, and made while
 * it is read.
 */
export function* gatherFrames(recipe: {
  readonly segments: Iterable<Segment>;
  readonly gapBytes?: number | undefined;
}): Generator<Task, void, undefined> {
  const joiner = new TaskJoiner(recipe.gapBytes);
  let position = 0;
  for (const segment of recipe.segments) {
    const length = segmentLength(segment);
    if (segment.kind !== "held" && length > 0) {
      const full = joiner.add({ position, segment, held: [] });
      if (full !== undefined) yield full;
    }
    position += length;
  }
  const last = joiner.flush();
  if (last !== undefined) yield last;
}

/** Collects parts into a task until the next one does not belong to it. */
export class TaskJoiner {
  readonly #gapBytes: number;
  #parts: Part[] = [];
  /** Of the parts, frames not counted. */
  #bytes = 0;
  #dataBytes = 0;
  /** Where the frames among the parts lie. */
  #frames: { readonly first: FramesSegment; end: number } | undefined;

  constructor(gapBytes: Recipe["gapBytes"] = 0) {
    this.#gapBytes = gapBytes;
  }

  /** Takes a part; gives the task that is complete because the part begins another. */
  add(part: Part): Task | undefined {
    const before = this.#parts.at(-1);
    const complete = before !== undefined && !this.#joins(before, part) ? this.flush() : undefined;
    const fused = before !== undefined && complete === undefined ? fuse(before, part) : undefined;
    if (fused === undefined) this.#parts.push(part);
    else this.#parts[this.#parts.length - 1] = fused;
    const { segment } = part;
    if (segment.kind === "data") this.#dataBytes += segment.bytes.length;
    if (segment.kind !== "frames") this.#bytes += segmentLength(segment);
    else if (this.#frames === undefined) this.#frames = { first: segment, end: segment.start + segment.length };
    else this.#frames.end = segment.start + segment.length;
    return complete;
  }

  flush(): Task | undefined {
    if (this.#parts.length === 0) return undefined;
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    this.#dataBytes = 0;
    this.#frames = undefined;
    return { parts };
  }

  #joins(before: Part, part: Part): boolean {
    if (before.position + segmentLength(before.segment) !== part.position) return false;
    const { segment } = part;
    if (before.segment.kind === "remote" || segment.kind === "remote") {
      return (
        before.segment.kind === "remote" &&
        segment.kind === "remote" &&
        before.held.length === 0 &&
        part.held.length === 0 &&
        followsInBlob(before.segment, segment) &&
        this.#bytes + segment.length <= REMOTE_JOIN_BYTES
      );
    }
    const frames = this.#frames;
    if (this.#bytes >= RUN_BYTES) return false;
    if (frames === undefined && this.#dataBytes >= RUN_DATA_BYTES) return false;
    if (this.#parts.length >= (frames === undefined ? RUN_PARTS : FRAMES_PARTS)) return false;
    if (segment.kind !== "frames") return true;
    return segment.linked !== true && (frames === undefined || isNear(frames, segment, this.#gapBytes));
  }
}

/** One part of two, where that saves a read of a file, or makes a hole of zeros that are too few alone. */
function fuse({ position, segment: before }: Part, { segment: next }: Part): Part | undefined {
  if (before.kind === "zero" && next.kind === "zero") {
    return { position, segment: { kind: "zero", length: before.length + next.length }, held: [] };
  }
  if (before.kind !== "local" || next.kind !== "local" || before.path !== next.path) return undefined;
  if (before.digest !== undefined || next.digest !== undefined) return undefined;
  if (before.start + before.length !== next.start) return undefined;
  return { position, segment: { ...before, length: before.length + next.length }, held: [] };
}

function followsInBlob(before: RemoteSegment, next: RemoteSegment): boolean {
  return before.blob.digest === next.blob.digest && before.start + before.length === next.start;
}

function isNear({ first, end }: { first: FramesSegment; end: number }, next: FramesSegment, gapBytes: number): boolean {
  const gap = next.start - end;
  return (
    first.blob.digest === next.blob.digest &&
    first.codec === next.codec &&
    gap >= 0 &&
    gap <= gapBytes &&
    next.start + next.length - first.start <= FRAMES_JOIN_BYTES
  );
}
