/** What a planner hands over: a recipe, what it would cost, and why it is as it is. Planners are pure. */
import type { Recipe, Segment } from "../recipe/segment.ts";
import { CostMeter } from "./cost-meter.ts";

/** How a layer is got; the same names as in `pull --json`. */
export type How = "present" | "full" | "resumed" | "zstd-chunked" | "estargz" | "librsync-delta" | "tar-diff" | "disk";

/** What carrying out a recipe moves, in bytes by kind, and how often a registry is asked. */
export interface Cost {
  readonly network: number;
  readonly local: number;
  readonly data: number;
  readonly zero: number;
  readonly requests: number;
}

export interface Plan {
  readonly how: How;
  readonly recipe: Recipe;
  readonly cost: Cost;
  /** For people: one clause, without a full stop. */
  readonly why: string;
}

/**
 * The cost of a recipe that is at hand: what the assembler will do for it, when no request fails. A range of a blob, or a run of
 * frames, is one request with what its neighbours are joined to.
 */
export function costOf(segments: Iterable<Segment>, gapBytes?: number): Cost {
  const meter = new CostMeter(gapBytes);
  for (const segment of segments) meter.add(segment);
  return meter.end();
}
