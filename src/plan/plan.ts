/** What a planner hands over: a recipe, what it would cost, and why it is as it is. Planners are pure. */
import { segmentLength, type Recipe, type Segment } from "../recipe/segment.ts";

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

/** The cost of segments that are at hand. */
export function costOf(segments: Iterable<Segment>): Cost {
  const cost = { network: 0, local: 0, data: 0, zero: 0, requests: 0 };
  for (const segment of segments) {
    const length = segmentLength(segment);
    switch (segment.kind) {
      case "remote":
        cost.network += length;
        cost.requests++;
        break;
      case "local":
      case "data":
      case "zero":
        cost[segment.kind] += length;
        break;
      case "held":
        break;
    }
  }
  return cost;
}
