import type { JobState } from "../api/types.ts";
import { STATE_NAMES } from "./job-words.ts";

/** The state of a job: a word, with a mark beside it. */
export function StateChip({ state }: { readonly state: JobState }) {
  return <span class={`chip chip-${state}`}>{STATE_NAMES[state]}</span>;
}
