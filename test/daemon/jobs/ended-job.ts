/** Follows a job through the daemon's API until it has ended. */
import type { Job } from "../../../src/daemon/jobs/types.ts";
import { openClient } from "../../../src/daemon/client/client.ts";

export async function endedJob(host: string, id: string): Promise<Job> {
  const client = openClient({ url: `http://${host}` });
  for await (const event of client.jobs.events(id)) {
    if (event.type === "job" && event.job.endedAt !== null) return event.job as Job;
  }
  throw new Error(`nobody told of the end of job ${id}`);
}
