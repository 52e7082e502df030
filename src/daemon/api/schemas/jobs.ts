/** Jobs, and what follows them live: `Job` and `JobEvent`. Of which kind a job is tells what it takes and gives. */
import { Type, type Static, type TSchema } from "typebox";
import { count, errorFacts, nullable, object, time, words } from "./common.ts";
import { deltaCreated, deltaInput } from "./deltas.ts";
import { progressEvent } from "./progress.ts";
import { pullInput, pullResult } from "./pulls.ts";
import { fsckInput, gcInput, gcResult, storeReport } from "./store.ts";

export const JOB_KINDS = ["pull", "delta", "gc", "fsck"] as const;
export const JOB_STATES = ["queued", "running", "done", "failed", "cancelled"] as const;
const jobKind = words(JOB_KINDS);
const jobState = words(JOB_STATES);
export type JobState = Static<typeof jobState>;
export type JobKind = Static<typeof jobKind>;

function jobOf<Kind extends string, Input extends TSchema, Result extends TSchema>(
  kind: Kind,
  input: Input,
  result: Result,
) {
  return object(
    {
      id: Type.String(),
      kind: Type.Literal(kind),
      input,
      state: jobState,
      attempts: count("How often somebody has begun it."),
      createdAt: time(),
      startedAt: nullable(time()),
      endedAt: nullable(time()),
      worker: nullable(Type.String(), { description: "Who is or was at it." }),
      result: nullable(result),
      error: nullable(errorFacts),
    },
    { title: `${kind[0]?.toUpperCase()}${kind.slice(1)}Job` },
  );
}

export const pullJob = jobOf("pull", pullInput, pullResult);
export const deltaJob = jobOf("delta", deltaInput, deltaCreated);
export const gcJob = jobOf("gc", gcInput, gcResult);
export const fsckJob = jobOf("fsck", fsckInput, storeReport);

export const job = Type.Union([pullJob, deltaJob, gcJob, fsckJob], { title: "Job" });
export type Job = Static<typeof job>;

export const jobList = object(
  {
    jobs: Type.Array(job, { description: "The newest first." }),
    more: Type.Boolean({ description: "Whether older ones were left out because the answer would be too large." }),
  },
  { title: "JobList" },
);
export type JobList = Static<typeof jobList>;

export const jobQuery = object({
  kind: Type.Optional(jobKind),
  state: Type.Optional(jobState),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1000, default: 50 })),
});

/** The data of each server-sent event; its `event:` is the `type`. */
export const jobEvent = Type.Union(
  [
    object({ type: Type.Literal("job"), job }, { title: "JobChanged" }),
    object({ type: Type.Literal("progress"), id: Type.String(), event: progressEvent }, { title: "JobProgress" }),
  ],
  { title: "JobEvent" },
);
export type JobEvent = Static<typeof jobEvent>;
