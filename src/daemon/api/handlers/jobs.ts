/** `/v1/jobs` */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Job as QueuedJob } from "../../jobs/types.ts";
import type { Handlers, Readable } from "../call.ts";
import type { Job } from "../schemas/jobs.ts";

export const jobHandlers: Handlers<"listJobs" | "getJob" | "cancelJob"> = {
  async listJobs({ query, parts }) {
    return { jobs: (await parts.jobs.queue.list(query)).map(toldJob) };
  },
  getJob: async ({ params, parts }) => mustBe(await parts.jobs.queue.get(params.id), params.id),
  cancelJob: async ({ params, parts }) => mustBe(await parts.jobs.queue.cancel(params.id), params.id),
};

/** The queue's type does not say that input and result are those of the job's kind; the queue keeps them so. */
function toldJob(job: QueuedJob): Readable<Job> {
  return job as Readable<Job>;
}

function mustBe(job: QueuedJob | undefined, id: string): Readable<Job> {
  if (job !== undefined) return toldJob(job);
  throw new VarveError("JOB_NOT_FOUND", `there is no job ${JSON.stringify(id)}`);
}
