/** The same recipe less what an earlier try has left. */
import { RangeSet } from "../store/range-set.ts";
import type { ByteRange } from "../store/types.ts";
import { segmentLength, type HeldSegment, type Recipe, type Segment } from "../recipe/segment.ts";
import { cut, missingParts } from "../recipe/tasks.ts";
import { costOf, type Cost, type Plan } from "./plan.ts";

/**
 * Replaces what is done by `held` segments, which keep what they stand for, should the bytes turn out damaged; the others make
 * exactly what is missing. A segment with a digest stays whole, because it is verified as one; the assembler reads what is
 * held of it back and fetches the rest.
 *
 * The segments of the result are made while they are read, so a long recipe costs no memory. Its cost is exact for an
 * iterable that can be read again, except that a piece with a digest counts in full; for others it is scaled. Frames are never
 * cut.
 */
export function planResume(plan: Plan, done: Iterable<ByteRange>): Plan {
  const held = new RangeSet(done);
  const { target } = plan.recipe;
  const bytes = new RangeSet(held.within(0, target.size)).bytes;
  if (bytes === 0) return plan;
  const { segments, gapBytes } = plan.recipe;
  const recipe = { ...plan.recipe, segments: remainingSegments(segments, held) };
  return {
    how: plan.how === "full" ? "resumed" : plan.how,
    recipe,
    cost: isRereadable(segments)
      ? costOf(eachRemaining(segments, held), gapBytes)
      : scaled(plan.cost, 1 - bytes / target.size),
    why: `${bytes} of ${target.size} bytes are here from an earlier try; the rest ${plan.why}`,
  };
}

function remainingSegments(segments: Recipe["segments"], held: RangeSet): Recipe["segments"] {
  if (!(Symbol.asyncIterator in segments)) return { [Symbol.iterator]: () => eachRemaining(segments, held) };
  return {
    async *[Symbol.asyncIterator]() {
      let position = 0;
      for await (const segment of segments) {
        yield* remaining(segment, position, held);
        position += segmentLength(segment);
      }
    },
  };
}

function* eachRemaining(segments: Iterable<Segment>, held: RangeSet): Generator<Segment> {
  let position = 0;
  for (const segment of segments) {
    yield* remaining(segment, position, held);
    position += segmentLength(segment);
  }
}

/** Whether counting does not use up the only pass there is. */
function isRereadable(segments: Recipe["segments"]): segments is Iterable<Segment> {
  return !(Symbol.asyncIterator in segments) && (segments[Symbol.iterator]() as unknown) !== segments;
}

function scaled(cost: Cost, share: number): Cost {
  const part = (amount: number): number => Math.ceil(amount * share);
  return {
    network: part(cost.network),
    local: part(cost.local),
    data: part(cost.data),
    zero: part(cost.zero),
    requests: part(cost.requests),
  };
}

function* remaining(segment: Segment, position: number, held: RangeSet): Generator<Segment> {
  const end = position + segmentLength(segment);
  let at = position;
  for (const part of missingParts(segment, position, held)) {
    if (part.position > at) yield heldPart(segment, at - position, part.position - position);
    yield part.segment;
    at = part.position + segmentLength(part.segment);
  }
  if (end > at) yield heldPart(segment, at - position, end - position);
}

function heldPart(segment: Segment, start: number, end: number): HeldSegment {
  const source = segment.kind === "held" ? segment.instead : segment;
  return { kind: "held", length: end - start, ...(source !== undefined && { instead: cut(source, start, end) }) };
}
