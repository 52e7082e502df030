/** `/v1/jobs` */
import { VarveError } from "../../../errors/varve-error.ts";
import type { Job as QueuedJob } from "../../jobs/types.ts";
import type { Handlers, Readable } from "../call.ts";
import type { Job } from "../schemas/jobs.ts";

export const jobHandlers: Handlers<"listJobs" | "getJob" | "cancelJob"> = {
  async listJobs({ query, parts }) {
    const found = (await parts.jobs.queue.list({ limit: DEFAULT_LIMIT, ...query })).map(toldJob);
    const jobs = fitting(found);
    return { jobs, more: jobs.length < found.length };
  },
  getJob: async ({ params, parts }) => mustBe(await parts.jobs.queue.get(params.id), params.id),
  cancelJob: async ({ params, parts }) => mustBe(await parts.jobs.queue.cancel(params.id), params.id),
};

const DEFAULT_LIMIT = 50;
/** Of one answer. A result may have a megabyte, as that of a pull of thousands of layers. */
const MOST_BYTES = 16 << 20;

/** The first of them, and as many of the others as an answer takes. */
function fitting(jobs: readonly Readable<Job>[]): readonly Readable<Job>[] {
  let bytes = 0;
  const end = jobs.findIndex((job, at) => {
    bytes += JSON.stringify(job).length;
    return at > 0 && bytes > MOST_BYTES;
  });
  return end === -1 ? jobs : jobs.slice(0, end);
}

/** The queue's type does not say that input and result are those of the job's kind; the queue keeps them so. */
function toldJob(job: QueuedJob): Readable<Job> {
  return job as Readable<Job>;
}

function mustBe(job: QueuedJob | undefined, id: string): Readable<Job> {
  if (job !== undefined) return toldJob(job);
  throw new VarveError("JOB_NOT_FOUND", `there is no job ${JSON.stringify(id)}`);
}
