/**
 * From a recipe, read lazily, to the tasks that carry it out. What is done already is cut away; small neighbours are
 * joined, so that a recipe of ten million segments costs neither ten million requests nor their memory.
 */
import { VarveError } from "../errors/varve-error.ts";
import type { RangeSet } from "../store/range-set.ts";
import { TaskJoiner, type Part, type Task } from "./gather.ts";
import { segmentLength, type DataSegment, type Recipe, type Segment } from "./segment.ts";

/**
 * @param here what need not be got: what the ingest holds at the start, and what it still checks; not changed
 * @throws VarveError `RECIPE_INVALID`, `SIZE_MISMATCH`, or whatever reading the recipe throws
 */
export async function* tasksOf(recipe: Recipe, here: RangeSet): AsyncGenerator<Task, void, undefined> {
  const { size, digest } = recipe.target;
  const joiner = new TaskJoiner(recipe.gapBytes);
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
  const start = "start" in segment ? segment.start : 0;
  const skip = segment.kind === "frames" ? (segment.skip ?? 0) : 0;
  const length = segment.kind === "frames" ? segment.length : 0;
  const isSane = [segmentLength(segment), start, skip, length].every((n) => Number.isSafeInteger(n) && n >= 0);
  const isLinkable =
    segment.kind !== "frames" || segment.linked !== true || (segment.codec === "apple-lz4" && skip === 0);
  if (isSane && isLinkable && (!("blob" in segment) || start + segment.length <= segment.blob.size)) return;
  throw new VarveError("RECIPE_INVALID", `a ${segment.kind} segment at byte ${position} has impossible bounds`, {
    detail: { segment, position },
  });
}

/** What is missing of a segment, in order. One that has a digest, or is made of frames, is missing whole when any of it is. */
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
  if (segment.kind === "frames" || ("digest" in segment && segment.digest !== undefined)) {
    return [{ position, segment, held: here.within(position, end) }];
  }
  return gaps.map(({ start, end: until }) => ({
    position: start,
    segment: until - start === end - position ? segment : cut(segment, start - position, until - position),
    held: [],
  }));
}

/** Bytes `[start, end)` of a segment; a digest stays with it, so one that has one is to be cut only to its whole. */
export function cut(segment: Part["segment"], start: number, end: number): Part["segment"] {
  switch (segment.kind) {
    case "data":
      return { kind: "data", bytes: segment.bytes.subarray(start, end), ...localOf(segment, start, end) };
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

/** Which bytes were read from here nobody says: they count as the first ones, so that the parts add up to the whole. */
function localOf({ local = 0 }: DataSegment, start: number, end: number): Pick<DataSegment, "local"> {
  const within = Math.min(local, end) - start;
  return within > 0 ? { local: within } : {};
}
