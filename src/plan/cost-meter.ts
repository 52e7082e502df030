/** Counts what a recipe costs while its segments go by, so that one that is told step by step need not be kept. */
import { requestOf, TaskJoiner, type Task } from "../recipe/gather.ts";
import { segmentLength, type Segment } from "../recipe/segment.ts";
import type { Cost } from "./plan.ts";

/** `add` all segments in the order of the target, then `end`. What is held costs nothing, and a task ends at it. */
export class CostMeter {
  readonly #joiner: TaskJoiner;
  readonly #cost = { network: 0, local: 0, data: 0, zero: 0, requests: 0 };
  #position = 0;

  /** @param gapBytes as the recipe has it */
  constructor(gapBytes?: number) {
    this.#joiner = new TaskJoiner(gapBytes);
  }

  /** Bytes of the target so far. */
  get position(): number {
    return this.#position;
  }

  add(segment: Segment): void {
    const length = segmentLength(segment);
    if (segment.kind !== "held" && length > 0)
      this.#count(this.#joiner.add({ position: this.#position, segment, held: [] }));
    this.#position += length;
  }

  end(): Cost {
    this.#count(this.#joiner.flush());
    return { ...this.#cost };
  }

  #count(task: Task | undefined): void {
    if (task === undefined) return;
    const cost = this.#cost;
    const request = requestOf(task);
    if (request !== undefined) {
      cost.network += request.end - request.start;
      cost.requests++;
    }
    for (const { segment } of task.parts) {
      if (segment.kind === "remote" || segment.kind === "frames") continue;
      const local = segment.kind === "data" ? (segment.local ?? 0) : 0;
      cost[segment.kind] += segmentLength(segment) - local;
      cost.local += local;
    }
  }
}
