/** Random calls of a queue of jobs, held against a list of what has to come of them; part of jobs.suite.ts. */
import { expect } from "vitest";
import { createRng } from "../../../test/kit/images/rng.ts";
import { JOB_KINDS } from "./job-input.ts";
import { MAX_ATTEMPTS, MAX_DEATHS } from "./retries.ts";
import type { Claim, Job, JobKind, JobQueue } from "./types.ts";

/** One place where jobs are kept, and processes that have it open. */
export interface QueuePlace {
  /** As another process would open it. */
  open(worker: string): Promise<JobQueue>;
  /** As if the process that has opened it had died: nothing is put back by itself, and the others find that out now. */
  crash(queue: JobQueue, others: readonly JobQueue[]): Promise<void>;
  /** As if the time that jobs wait before they are tried again had passed. */
  passDelays(): Promise<void>;
}

const ERROR = { code: "REGISTRY_TIMEOUT", message: "no answer", hint: "try again" } as const;
const NEVER = new AbortController().signal;

interface ModelJob {
  readonly id: string;
  readonly kind: JobKind;
  state: Job["state"];
  attempts: number;
  waits: boolean;
}

/** 40 steps, by the seed. */
export async function followModel(
  seed: number,
  queue: JobQueue,
  place: QueuePlace,
  open: () => Promise<JobQueue>,
): Promise<void> {
  const rng = createRng(seed);
  const model: ModelJob[] = [];
  const held: { claim: Claim; job: ModelJob; by: JobQueue }[] = [];
  let worker = await open();
  const pick = <T>(list: readonly T[]): T | undefined => list[rng.int(list.length)];
  const drop = (entry: (typeof held)[number]): void => void held.splice(held.indexOf(entry), 1);
  const steps: Record<string, () => Promise<void>> = {
    async add() {
      const kind = pick(JOB_KINDS)!;
      const inputs = { pull: { reference: "a/b" }, delta: { base: "a", target: "b" }, gc: {}, fsck: {} };
      const { id } = await queue.add(kind, inputs[kind]);
      model.push({ id, kind, state: "queued", attempts: 0, waits: false });
    },
    async claim() {
      const kinds = JOB_KINDS.filter(() => rng.int(2) === 0);
      const next = model.find((job) => job.state === "queued" && !job.waits && kinds.includes(job.kind));
      if (next === undefined) return;
      const by = pick([queue, worker])!;
      const claim = await by.claim(kinds, NEVER);
      expect(claim.job.id).toBe(next.id);
      Object.assign(next, { state: "running", attempts: next.attempts + 1 });
      held.push({ claim, job: next, by });
    },
    async done() {
      const entry = pick(held);
      if (entry === undefined) return;
      await entry.claim.done({ seed });
      entry.job.state = "done";
      drop(entry);
    },
    async fail() {
      const entry = pick(held);
      if (entry === undefined) return;
      const retry = rng.int(2) === 0;
      await entry.claim.fail(ERROR, { retry });
      const isAgain = retry && entry.job.attempts < MAX_ATTEMPTS;
      Object.assign(entry.job, { state: isAgain ? "queued" : "failed", waits: isAgain });
      drop(entry);
    },
    async release() {
      const entry = pick(held);
      if (entry === undefined) return;
      await entry.claim.release();
      Object.assign(entry.job, { state: "queued", attempts: entry.job.attempts - 1 });
      drop(entry);
    },
    async cancel() {
      const job = pick(model);
      if (job === undefined) return;
      await queue.cancel(job.id);
      if (job.state !== "queued" && job.state !== "running") return;
      job.state = "cancelled";
      const entry = held.find((one) => one.job === job);
      if (entry === undefined) return;
      await aborted(entry.claim);
      await expect(entry.claim.done({})).rejects.toMatchObject({ code: "JOB_LOST" });
      drop(entry);
    },
    async crash() {
      await place.crash(worker, [queue]);
      for (const entry of held.filter(({ by }) => by === worker)) {
        entry.job.state = entry.job.attempts < MAX_DEATHS ? "queued" : "failed";
        drop(entry);
      }
      worker = await open();
    },
    async pass() {
      await place.passDelays();
      for (const job of model) job.waits = false;
    },
  };
  const names = ["add", "add", "add", "claim", "claim", "claim", "done", "fail", "release", "cancel", "crash", "pass"];
  for (let step = 0; step < 40; step++) await steps[pick(names)!]!();
  const jobs = await queue.list({ limit: 1000 });
  const found = jobs.map(({ id, kind, state, attempts }) => ({ id, kind, state, attempts }));
  expect(found.toReversed()).toEqual(model.map(({ id, kind, state, attempts }) => ({ id, kind, state, attempts })));
  const count = (state: Job["state"]): number => model.filter((job) => job.state === state).length;
  expect(await queue.depth()).toEqual({ queued: count("queued"), running: count("running") });
}

/** Settles when the claim is lost. */
export async function aborted({ signal }: Claim): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}
