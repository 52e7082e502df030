/** The jobs that the daemon has taken on: none of them may be forgotten, and one that has ended stays as it ended. */
import type { Job } from "../../../src/daemon/api/schemas/jobs.ts";

/** What no fault of others explains. */
const OWN_FAULTS: ReadonlySet<string> = new Set([
  "INTERNAL",
  "IO",
  "STORE_CORRUPT",
  "QUEUE_CORRUPT",
  "INDEX_INVALID",
  "JOB_LOST",
  "SOURCE_CHANGED",
]);

export class JobBook {
  readonly #known = new Map<string, Job>();
  /** When it was first known that they had ended. */
  readonly #endedAt = new Map<string, number>();
  /** What pulls of these references have to end in. */
  readonly #digests: ReadonlyMap<string, string>;

  readonly #kills: () => number;

  /** @param kills how often the daemon was killed so far */
  constructor(digests: ReadonlyMap<string, string>, kills: () => number) {
    this.#digests = digests;
    this.#kills = kills;
  }

  get ids(): readonly string[] {
    return [...this.#known.keys()];
  }

  get open(): readonly string[] {
    return [...this.#known.values()].filter((job) => !hasEnded(job)).map(({ id }) => id);
  }

  /** How they are, by kind and state. */
  get ends(): readonly string[] {
    return [...this.#known.values()].map(
      ({ kind, state, error }) => `${kind} ${state}${error === null ? "" : ` ${error.code}`}`,
    );
  }

  /**
   * @param askedAt when this was asked for (`performance.now()`): what is older than another answer may well say less
   * @throws Error when it cannot be what became of it
   */
  saw(job: Job, askedAt: number): void {
    const before = this.#known.get(job.id);
    const told = JSON.stringify(job);
    if (before !== undefined && hasEnded(before)) {
      if (JSON.stringify(before) === told || (!hasEnded(job) && askedAt < this.#endedAt.get(job.id)!)) return;
      throw new Error(`job ${job.id} had ended as ${JSON.stringify(before)}, and is ${told}`);
    }
    if (hasEnded(job)) this.#endedAt.set(job.id, performance.now());
    if (hasEnded(job) && job.endedAt === null) throw new Error(`job ${told} has ended at no time`);
    if (job.error !== null && OWN_FAULTS.has(job.error.code)) throw new Error(`job ${told}`);
    // What seems to kill its workers is given up, and they do die here.
    if (job.error?.code === "JOB_ABANDONED" && this.#kills() < job.attempts) throw new Error(`job ${told}`);
    if (job.state === "done") this.#mustBeRight(job);
    this.#known.set(job.id, job);
  }

  #mustBeRight(job: Job): void {
    if (job.result === null) throw new Error(`job ${job.id} is done, without a result`);
    if (job.kind === "pull" && job.result.digest !== this.#digests.get(job.input.reference)) {
      throw new Error(`the pull of ${job.input.reference} ended in ${job.result.digest}`);
    }
    if (job.kind !== "fsck") return;
    const errors = job.result.findings.filter(({ severity }) => severity === "error");
    if (errors.length > 0) throw new Error(`fsck found ${JSON.stringify(errors)}`);
  }
}

export function hasEnded({ state }: Pick<Job, "state">): boolean {
  return state === "done" || state === "failed" || state === "cancelled";
}
