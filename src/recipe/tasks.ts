/**
 * From a recipe, read lazily, to the tasks that carry it out. What is done already is cut away; small neighbours are
 * joined, so that a recipe of ten million segments costs neither ten million requests nor their memory.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { RangeSet } from "../store/range-set.ts";
import type { ByteRange } from "../store/types.ts";
import { segmentLength, type HeldSegment, type Recipe, type RemoteSegment, type Segment } from "./segment.ts";

/** Neighbouring remote segments of one blob are one request up to this size; ranges that a planner cut stay apart. */
const REMOTE_JOIN_BYTES = 4 << 20;
/** Bounds of a run of local, data and zero segments that one slot works off in order. */
const RUN_BYTES = 8 << 20;
const RUN_PARTS = 1024;

/** A segment with its place, cut to what is missing. */
export interface Part {
  readonly position: number;
  readonly segment: Exclude<Segment, HeldSegment>;
  /**
   * Ranges of the target inside this part that are there already. Only where the segment has a digest: such a piece
   * cannot be cut, because it is verified as one.
   */
  readonly held: readonly ByteRange[];
}

/** Parts without gaps between them, done by one slot in order: either remote ones of one request, or none that is. */
export interface Task {
  readonly parts: readonly Part[];
}

/**
 * @param here what need not be got: what the ingest holds at the start, and what it still checks; not changed
 * @throws VarveError `RECIPE_INVALID`, `SIZE_MISMATCH`, or whatever reading the recipe throws
 */
export async function* tasksOf(recipe: Recipe, here: RangeSet): AsyncGenerator<Task, void, undefined> {
  const { size, digest } = recipe.target;
  const joiner = new Joiner();
  let position = 0;
  for await (const segment of recipe.segments) {
    checkSegment(segment, position);
    const end = position + segmentLength(segment);
    if (end > size) throw sizeMismatch(`the recipe of ${digest} makes more than the ${size} bytes it should`);
    for (const part of missingParts(segment, position, here)) {
      const full = joiner.add(part);
      if (full !== undefined) yield full;
    }
    position = end;
  }
  const last = joiner.flush();
  if (last !== undefined) yield last;
  if (position !== size) throw sizeMismatch(`the recipe of ${digest} makes ${position} bytes instead of ${size}`);
}

function sizeMismatch(message: string): VarveError {
  return new VarveError("SIZE_MISMATCH", message);
}

function checkSegment(segment: Segment, position: number): void {
  const length = segmentLength(segment);
  const start = "start" in segment ? segment.start : 0;
  const fits = segment.kind !== "remote" || start + length <= segment.blob.size;
  if (Number.isSafeInteger(length) && length >= 0 && Number.isSafeInteger(start) && start >= 0 && fits) return;
  throw new VarveError("RECIPE_INVALID", `a ${segment.kind} segment at byte ${position} has impossible bounds`, {
    detail: { segment, position },
  });
}

/** What is missing of a segment, in order. */
export function missingParts(segment: Segment, position: number, here: RangeSet): Part[] {
  const end = position + segmentLength(segment);
  const gaps = here.missing(position, end);
  if (gaps.length === 0) return [];
  if (segment.kind === "held") {
    if (segment.instead !== undefined) return missingParts(segment.instead, position, here);
    throw new VarveError("RECIPE_INVALID", `bytes at ${position} are said to be here, but are not`, {
      detail: { segment, position },
    });
  }
  if ("digest" in segment && segment.digest !== undefined) {
    return [{ position, segment, held: here.within(position, end) }];
  }
  return gaps.map((gap) => ({
    position: gap.start,
    segment: cut(segment, gap.start - position, gap.end - position),
    held: [],
  }));
}

/** Bytes `[start, end)` of a segment; a digest stays with it, so one that has one is to be cut only to its whole. */
export function cut(segment: Part["segment"], start: number, end: number): Part["segment"] {
  switch (segment.kind) {
    case "data":
      return { kind: "data", bytes: segment.bytes.subarray(start, end) };
    case "zero":
      return { kind: "zero", length: end - start };
    case "remote":
    case "local":
      return { ...segment, start: segment.start + start, length: end - start };
    case "frames":
      return {
        ...segment,
        skip: (segment.skip ?? 0) + start,
        size: end - start,
        rest: segment.rest === true || end < segment.size,
      };
  }
}

/** Collects parts into a task until the next one does not belong to it. */
class Joiner {
  #parts: Part[] = [];
  #bytes = 0;

  /** Takes a part; gives the task that is complete because the part begins another. */
  add(part: Part): Task | undefined {
    const before = this.#parts.at(-1);
    const complete = before !== undefined && !this.#joins(before, part) ? this.flush() : undefined;
    const fused = before !== undefined && complete === undefined ? fuse(before, part) : undefined;
    if (fused === undefined) this.#parts.push(part);
    else this.#parts[this.#parts.length - 1] = fused;
    this.#bytes += segmentLength(part.segment);
    return complete;
  }

  flush(): Task | undefined {
    if (this.#parts.length === 0) return undefined;
    const parts = this.#parts;
    this.#parts = [];
    this.#bytes = 0;
    return { parts };
  }

  #joins(before: Part, part: Part): boolean {
    if (before.position + segmentLength(before.segment) !== part.position) return false;
    if (before.segment.kind === "remote" || part.segment.kind === "remote") {
      return (
        before.segment.kind === "remote" &&
        part.segment.kind === "remote" &&
        before.held.length === 0 &&
        part.held.length === 0 &&
        followsInBlob(before.segment, part.segment) &&
        this.#bytes + part.segment.length <= REMOTE_JOIN_BYTES
      );
    }
    return this.#bytes < RUN_BYTES && this.#parts.length < RUN_PARTS;
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
