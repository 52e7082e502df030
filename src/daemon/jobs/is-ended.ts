import type { Job } from "./types.ts";

/** Whether it is in one of the states that are final. */
export function isEnded({ state }: Pick<Job, "state">): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
