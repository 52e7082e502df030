/** The daemon's jobs: opens the queue, and begins to work off what is in it. */
import type { Daemon } from "../daemon.ts";
import { JobRunner } from "./job-runner.ts";
import { LiveFeed } from "./live-feed.ts";
import { openQueue } from "./queues.ts";
import type { Jobs } from "./types.ts";

export interface JobsOptions {
  /** A directory of the daemon's own, made where it is missing. */
  readonly directory: string;
}

/** @throws VarveError as `openQueue` */
export async function startJobs(daemon: Daemon, { directory }: JobsOptions): Promise<Jobs> {
  const { log } = daemon;
  let feed: LiveFeed | undefined;
  const { queue, leaves } = await openQueue(daemon.config().jobs, {
    directory,
    keepDays: () => daemon.config().jobs.keepDays,
    onWarning: (error) => log.warn({ error }, "the queue of jobs"),
    onProgress: (id, event) => feed?.publish(id, event),
  });
  feed = new LiveFeed(queue, (error) => log.warn({ error }, "a job that has changed cannot be read"));
  const runner = new JobRunner({ daemon, queue, feed, leaves });
  return {
    queue,
    feed,
    async [Symbol.asyncDispose]() {
      await runner[Symbol.asyncDispose]();
      feed[Symbol.dispose]();
      await queue[Symbol.asyncDispose]();
    },
  };
}
