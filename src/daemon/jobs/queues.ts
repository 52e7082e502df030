/** The queue that the configuration names: of this store, or that and a shared one for deltas, seen as one. */
import { VarveError } from "../../errors/varve-error.ts";
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
  if (!isPostgresUrl(name)) {
    throw new VarveError("CONFIGURATION_INVALID", "a queue is either sqlite or the URL of a PostgreSQL database", {
      hint: "write it as postgres://USER@HOST/DATABASE",
    });
  }
  const { PostgresJobs } = await import("./postgres/postgres-jobs.ts");
  const local = await SqliteJobs.open(options);
  const { keepDays, onWarning, onProgress } = options;
  const shared = new PostgresJobs({ url: name, keepDays, onWarning, onProgress });
  return { queue: new CombinedQueue(local, shared), leaves: ["delta"] };
}

export function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text);
}
