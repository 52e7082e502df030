/** `varve worker --queue URL` */
import type { WorkerResult } from "../../daemon/jobs/worker/run-worker.ts";
import type { Command } from "../command.ts";
import { parseCount, parseSize } from "../parse-values.ts";

const MAX_JOBS = 64;

export const workerCommand: Command<WorkerResult> = {
  arguments: [],
  flags: [
    {
      flags: "--queue <url>",
      summary:
        "the shared queue, as postgres://USER@HOST/DATABASE (also VARVE_QUEUE, where others do not see a password)",
      completes: "nothing",
    },
    { flags: "--jobs <n>", summary: "jobs at once; default 1", completes: "nothing" },
    {
      flags: "--keep-storage <bytes>",
      summary:
        "after a job take out the least recently used images until the store takes no more than this, as 10GB or 20GiB; default: none",
      completes: "nothing",
    },
  ],
  notes: [
    "It makes the deltas that daemons with the same --queue were asked for: gets both images into its store, which had better be its own (--root), and pushes the delta.",
    "It runs until SIGTERM or SIGINT, puts back what it is at and ends with exit code 0. A job whose worker died is tried by another one within half a minute, ten times at most.",
  ],
  examples: [
    "varve worker --queue postgres://varve@db.example/varve --root /var/lib/varve-worker --keep-storage 50GB",
    "VARVE_QUEUE='postgres://varve:secret@db.example/varve?sslmode=verify-full' varve worker --jobs 2",
  ],
  runsUntilStopped: true,

  run: async ({ flags, services, logger }) => {
    const { queue, jobs, keepStorage } = flags;
    return services.work({
      ...(typeof queue === "string" && { url: queue }),
      jobs: typeof jobs === "string" ? parseCount("--jobs", jobs, 1, MAX_JOBS) : 1,
      ...(typeof keepStorage === "string" && { keepBytes: parseSize("--keep-storage", keepStorage) }),
      log: logger,
    });
  },

  render: ({ done, failed, left }) => `${done} done, ${failed} failed, ${left} left to others\n`,
};
