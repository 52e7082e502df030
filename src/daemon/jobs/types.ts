/**
 * Jobs: work that outlives the request that asked for it, and the process that was at it. A queue keeps them and hands each to one worker at
 * a time; a worker that dies loses its claim, and the job is tried again by whoever comes next.
 *
 * Life of a job: `queued` (added, or put back) -> `running` (claimed) -> `done` | `failed` | `cancelled`. Only these three are final.
 */
import type { ErrorCode } from "../../errors/table.ts";
import type { DeltaCreated, DeltaFormat } from "../../transfer/deltas/create-types.ts";
import type { StoreReport } from "../../transfer/fsck.ts";
import type { GcResult } from "../../transfer/gc.ts";
import type { PullResult } from "../../transfer/pull-result.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";

export interface PullInput {
  readonly reference: string;
  /** As `parsePlatform` takes it. Default: this machine's. */
  readonly platform?: string;
  /** Default true. */
  readonly unpack?: boolean;
  /** Default `auto`. */
  readonly delta?: "auto" | "never" | "always";
  /** Default false. */
  readonly discardBlobs?: boolean;
}

export interface DeltaInput {
  /** Images of the store; with a shared queue references that the worker can pull. */
  readonly base: string;
  readonly target: string;
  /** Default `librsync`. */
  readonly format?: DeltaFormat;
  readonly tag?: string;
  readonly push?: string;
  readonly platform?: string;
}

export interface GcInput {
  /** Default: a week. */
  readonly partialsOlderThanMs?: number;
  readonly dryRun?: boolean;
}

export interface FsckInput {
  readonly images?: readonly string[];
  readonly repair?: boolean;
}

/** What each kind of job takes and gives. */
export interface JobKinds {
  readonly pull: { readonly input: PullInput; readonly result: PullResult };
  readonly delta: { readonly input: DeltaInput; readonly result: DeltaCreated };
  readonly gc: { readonly input: GcInput; readonly result: GcResult };
  readonly fsck: { readonly input: FsckInput; readonly result: StoreReport };
}

export type JobKind = keyof JobKinds;
export type JobState = "queued" | "running" | "done" | "failed" | "cancelled";

/** As `/v1/jobs` shows it; times are ISO 8601. */
export interface Job<Kind extends JobKind = JobKind> {
  readonly id: string;
  readonly kind: Kind;
  readonly input: JobKinds[Kind]["input"];
  readonly state: JobState;
  /** How often it was claimed. */
  readonly attempts: number;
  readonly createdAt: string;
  readonly startedAt: string | null;
  readonly endedAt: string | null;
  /** Who is or was at it: a host's name and a process. */
  readonly worker: string | null;
  readonly result: JobKinds[Kind]["result"] | null;
  readonly error: { readonly code: ErrorCode; readonly message: string; readonly hint: string } | null;
}

/** What follows jobs live. `id`: of the job that it is about. */
export type JobEvent =
  | { readonly type: "job"; readonly job: Job }
  | { readonly type: "progress"; readonly id: string; readonly event: ProgressEvent };

export interface JobFeed {
  /**
   * What becomes of one job, until it has ended; without an id of all jobs, until the signal. A late listener gets the job as it is (all
   * that have not ended) and then what is last known of each blob, so that it can draw at once. Who reads slowly gets less and not
   * later: of what changes often only the newest is kept for it.
   * @throws VarveError `JOB_NOT_FOUND` at the first read; the signal ends it without an error
   */
  subscribe(id: string | undefined, signal: AbortSignal): AsyncIterable<JobEvent>;
}

/** The daemon's jobs, as `startJobs` (start-jobs.ts) gives them. Disposed of: what runs is put back, and the queue is closed. */
export interface Jobs extends AsyncDisposable {
  readonly queue: JobQueue;
  readonly feed: JobFeed;
}

/** A job that one worker has taken. Its claim ends unless it is renewed, which {@link Claim} does by itself while the process lives. */
export interface Claim {
  readonly job: Job;
  /** Aborted when the job is cancelled, or when the claim is lost to another worker: then nothing that it makes may be reported any more. */
  readonly signal: AbortSignal;
  done(result: unknown): Promise<void>;
  /** `retry`: it is put back, unless it has been tried as often as the queue allows. */
  fail(error: NonNullable<Job["error"]>, options?: { readonly retry?: boolean }): Promise<void>;
  /** Puts it back as if it had not been claimed; for a worker that stops. */
  release(): Promise<void>;
}

export interface ListOptions {
  readonly kind?: JobKind;
  readonly state?: JobState;
  /** At most so many, the newest first, and less where they are of more than 32 MiB. Default 100, at most 1000. */
  readonly limit?: number;
}

/** Two implementations, SQLite and PostgreSQL, are held to one suite. */
export interface JobQueue extends AsyncDisposable {
  /** Durable when it settles. */
  add<Kind extends JobKind>(kind: Kind, input: JobKinds[Kind]["input"]): Promise<Job<Kind>>;
  get(id: string): Promise<Job | undefined>;
  list(options?: ListOptions): Promise<readonly Job[]>;
  /** Ends it, wherever it is worked on. @returns the job as it is then; undefined when there is none */
  cancel(id: string): Promise<Job | undefined>;
  /** The oldest job of these kinds that nobody has; waits for one. Rejects with the signal's reason. */
  claim(kinds: readonly JobKind[], signal: AbortSignal): Promise<Claim>;
  /** How many there are of each state that is not final. */
  depth(): Promise<{ readonly queued: number; readonly running: number }>;
  /** Calls back when a job has changed, with its id; returns the way to stop that. */
  onChange(listener: (id: string) => void): () => void;
}
