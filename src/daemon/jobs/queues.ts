/** The queue that the configuration names: of this store, or that and a shared one for deltas, seen as one. */
import type { JobsConfig } from "../config/types.ts";
import { CombinedQueue } from "./combined-queue.ts";
import type { Progress } from "./postgres/notices.ts";
import { SqliteJobs } from "./sqlite/sqlite-jobs.ts";
import type { JobKind, JobQueue } from "./types.ts";

export interface QueueOptions {
  /** Of the daemon in its store. */
  readonly directory: string;
  readonly keepDays: () => number;
  readonly onWarning: (warning: unknown) => void;
  /** Told what workers elsewhere tell of their jobs. */
  readonly onProgress: Progress;
}

export interface OpenedQueue {
  readonly queue: JobQueue;
  /** Kinds that are worked off elsewhere. */
  readonly leaves: readonly JobKind[];
}

/** @throws VarveError `CONFIGURATION_INVALID`, and as `SqliteJobs.open`. A database server that is away is no error: asking it is one then */
export async function openQueue(
  { queue: name }: Pick<JobsConfig, "queue">,
  options: QueueOptions,
): Promise<OpenedQueue> {
  if (name === "sqlite") return { queue: await SqliteJobs.open(options), leaves: [] };
  const { PostgresJobs } = await import("./postgres/postgres-jobs.ts");
  const { keepDays, onWarning, onProgress } = options;
  const shared = new PostgresJobs({ url: name, keepDays, onWarning, onProgress });
  try {
    return { queue: new CombinedQueue(await SqliteJobs.open(options), shared), leaves: ["delta"] };
  } catch (error) {
    await shared[Symbol.asyncDispose]();
    throw error;
  }
}
