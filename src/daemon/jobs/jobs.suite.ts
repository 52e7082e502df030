/** What every queue of jobs must do; SQLite's and PostgreSQL's are held to it. */
import { describe, expect, it, onTestFinished } from "vitest";
import { isVarveError } from "../../errors/varve-error.ts";
import { MAX_ATTEMPTS, MAX_DEATHS } from "./retries.ts";
import { aborted, followModel, type QueuePlace } from "./jobs-model.suite.ts";
import { limitCases } from "./jobs-limits.suite.ts";
import type { Job, JobQueue } from "./types.ts";

const ERROR = { code: "MANIFEST_UNKNOWN", message: "no such image", hint: "check the name" } as const;
const NEVER = new AbortController().signal;

export function jobsSuite(
  how: string,
  makePlace: () => Promise<QueuePlace>,
  { propertyRuns }: { propertyRuns: number },
): void {
  const start = async (): Promise<{
    place: QueuePlace;
    queue: JobQueue;
    open: (worker?: string) => Promise<JobQueue>;
  }> => {
    const place = await makePlace();
    let number = 0;
    const open = async (worker = `worker-${++number}`): Promise<JobQueue> => {
      const queue = await place.open(worker);
      onTestFinished(() => queue[Symbol.asyncDispose]());
      return queue;
    };
    return { place, queue: await open(), open };
  };
  const pullOf = (queue: JobQueue, name: string): Promise<Job> =>
    queue.add("pull", { reference: `registry.test/${name}:1` });
  const namesOf = (jobs: readonly Job[]): string[] =>
    jobs.map(({ input }) => ("reference" in input ? input.reference : ""));

  describe(`queue of jobs, ${how}`, () => {
    it("keeps a job as it was given until somebody takes it", async () => {
      const { queue, open } = await start();
      const job = await queue.add("pull", { reference: "registry.test/a:1", unpack: false, platform: "linux/arm64" });
      expect(job).toMatchObject({
        kind: "pull",
        input: { reference: "registry.test/a:1", unpack: false, platform: "linux/arm64" },
        state: "queued",
        attempts: 0,
        startedAt: null,
        endedAt: null,
        worker: null,
        result: null,
        error: null,
      });
      expect(Math.abs(Date.parse(job.createdAt) - Date.now())).toBeLessThan(60_000);
      await queue[Symbol.asyncDispose]();
      const again = await open();
      expect(await again.get(job.id)).toEqual(job);
      expect(await again.list()).toEqual([job]);
    });

    it("gives jobs out in the order in which they came, of the kinds that are asked for", async () => {
      const { queue } = await start();
      const added = [
        await pullOf(queue, "a"),
        await queue.add("gc", {}),
        await pullOf(queue, "b"),
        await queue.add("fsck", {}),
      ];
      const first = await queue.claim(["pull"], NEVER);
      const second = await queue.claim(["pull"], NEVER);
      expect([first.job.id, second.job.id]).toEqual([added[0]!.id, added[2]!.id]);
      const rest = [await queue.claim(["gc", "fsck"], NEVER), await queue.claim(["gc", "fsck"], NEVER)];
      expect(rest.map(({ job }) => job.id)).toEqual([added[1]!.id, added[3]!.id]);
      expect(first.job).toMatchObject({ state: "running", attempts: 1, worker: "worker-1" });
      expect(first.job.startedAt).not.toBeNull();
    });

    it("wakes who waits for a job, also in another process, and lets who does not want to wait any more go", async () => {
      const { queue, open } = await start();
      const other = await open();
      const [here, there] = [queue.claim(["pull"], NEVER), other.claim(["gc"], NEVER)];
      await pullOf(queue, "a");
      await queue.add("gc", {});
      expect((await here).job.kind).toBe("pull");
      expect((await there).job.kind).toBe("gc");
      const controller = new AbortController();
      const waiting = queue.claim(["fsck"], controller.signal);
      controller.abort(new Error("enough"));
      await expect(waiting).rejects.toThrow("enough");
      await expect(queue.claim(["fsck"], controller.signal)).rejects.toThrow("enough");
    });

    it("keeps what came of a job, and forgets an end that comes after another one", async () => {
      const { queue, open } = await start();
      const [good, bad] = [await pullOf(queue, "a"), await pullOf(queue, "b")];
      const first = await queue.claim(["pull"], NEVER);
      await first.done({ status: "pulled", layers: [], text: "ü\u2028\"'\\ <script>" });
      const second = await queue.claim(["pull"], NEVER);
      await second.fail(ERROR);
      const seen = await open();
      expect(await seen.get(good.id)).toMatchObject({
        state: "done",
        result: { status: "pulled", layers: [], text: "ü\u2028\"'\\ <script>" },
        error: null,
        worker: "worker-1",
      });
      expect(await seen.get(bad.id)).toMatchObject({ state: "failed", error: ERROR, attempts: 1, result: null });
      expect((await seen.get(bad.id))?.endedAt).not.toBeNull();
      await expect(first.done({})).rejects.toMatchObject({ code: "JOB_LOST" });
      await expect(second.release()).rejects.toMatchObject({ code: "JOB_LOST" });
      expect(await seen.depth()).toEqual({ queued: 0, running: 0 });
      expect(first.signal.aborted).toBe(false);
    });

    it("puts a released job back in its place, as if nobody had had it", async () => {
      const { queue } = await start();
      const job = await pullOf(queue, "a");
      await pullOf(queue, "b");
      const claim = await queue.claim(["pull"], NEVER);
      await claim.release();
      expect(await queue.get(job.id)).toEqual(job);
      const again = await queue.claim(["pull"], NEVER);
      expect(again.job).toMatchObject({ id: job.id, attempts: 1 });
      await expect(claim.done({})).rejects.toMatchObject({ code: "JOB_LOST" });
    });

    it("tries a job again that failed for now, after a while, and not for ever", async () => {
      const { queue, place } = await start();
      const job = await pullOf(queue, "a");
      for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
        const claim = await queue.claim(["pull"], NEVER);
        expect(claim.job).toMatchObject({ id: job.id, attempts: attempt });
        await claim.fail(ERROR, { retry: true });
        const isLast = attempt === MAX_ATTEMPTS;
        expect(await queue.get(job.id)).toMatchObject({
          state: isLast ? "failed" : "queued",
          attempts: attempt,
          error: ERROR,
        });
        // Not yet, for it is to wait.
        const soon = new AbortController();
        const early = queue.claim(["pull"], soon.signal);
        await pullOf(queue, `b${attempt}`);
        expect(namesOf([(await early).job])).toEqual([`registry.test/b${attempt}:1`]);
        await place.passDelays();
      }
    });

    it("tries a job again whose worker died, counts that, and gives up in the end", async () => {
      const { queue, place, open } = await start();
      const job = await pullOf(queue, "a");
      for (let attempt = 1; attempt <= MAX_DEATHS; attempt++) {
        const worker = await open();
        const claim = await worker.claim(["pull"], NEVER);
        expect(claim.job).toMatchObject({ id: job.id, attempts: attempt });
        await place.crash(worker, [queue]);
        const isLast = attempt === MAX_DEATHS;
        expect(await queue.get(job.id)).toMatchObject({ state: isLast ? "failed" : "queued", attempts: attempt });
      }
      expect((await queue.get(job.id))?.error?.code).toBe("JOB_ABANDONED");
      expect((await queue.get(job.id))?.endedAt).not.toBeNull();
    });

    it("refuses all word of a claim that somebody else has by now", async () => {
      const { queue, place, open } = await start();
      const job = await pullOf(queue, "a");
      const late = await open("late");
      const lost = await late.claim(["pull"], NEVER);
      await place.crash(late, [queue]);
      const claim = await queue.claim(["pull"], NEVER);
      expect(claim.job).toMatchObject({ id: job.id, attempts: 2, worker: "worker-1" });
      for (const end of [() => lost.done({ wrong: true }), () => lost.fail(ERROR), () => lost.release()]) {
        expect(isVarveError(await end().catch((error: unknown) => error))).toBe(true);
      }
      expect(await queue.get(job.id)).toEqual(claim.job);
      await claim.done({ right: true });
      expect(await queue.get(job.id)).toMatchObject({ state: "done", attempts: 2, result: { right: true } });
    });

    it("cancels a job that waits, and tells who works on one that it is cancelled, also in another process", async () => {
      const { queue, open } = await start();
      const other = await open();
      const [waits, runs, elsewhere] = [
        await pullOf(queue, "a"),
        await queue.add("gc", {}),
        await queue.add("fsck", {}),
      ];
      const [near, far] = [await queue.claim(["gc"], NEVER), await other.claim(["fsck"], NEVER)];
      for (const { id } of [waits, runs, elsewhere]) {
        const cancelled = await queue.cancel(id);
        expect(cancelled).toMatchObject({ state: "cancelled" });
        expect(cancelled?.endedAt).not.toBeNull();
      }
      for (const claim of [near, far]) {
        await aborted(claim);
        await expect(claim.done({})).rejects.toMatchObject({ code: "JOB_LOST" });
      }
      const ended = await queue.get(runs.id);
      expect(await queue.cancel(runs.id)).toEqual(ended);
      expect(await queue.cancel("00000000-0000-4000-8000-000000000000")).toBeUndefined();
      expect(await queue.depth()).toEqual({ queued: 0, running: 0 });
    });

    it("leaves a job that has ended as it is when it is cancelled", async () => {
      const { queue } = await start();
      const job = await pullOf(queue, "a");
      await (await queue.claim(["pull"], NEVER)).done({ fine: 1 });
      expect(await queue.cancel(job.id)).toMatchObject({ state: "done", result: { fine: 1 } });
    });

    it("lists the newest first, by kind and state, and counts", async () => {
      const { queue } = await start();
      for (const name of ["a", "b", "c"]) await pullOf(queue, name);
      await queue.add("gc", { dryRun: true });
      const claim = await queue.claim(["pull"], NEVER);
      const all = await queue.list();
      expect(all.map(({ kind }) => kind)).toEqual(["gc", "pull", "pull", "pull"]);
      expect(namesOf(await queue.list({ kind: "pull", limit: 2 }))).toEqual(["registry.test/c:1", "registry.test/b:1"]);
      expect((await queue.list({ state: "running" })).map(({ id }) => id)).toEqual([claim.job.id]);
      expect(await queue.list({ kind: "gc", state: "done" })).toEqual([]);
      expect(await queue.list({ limit: 0 })).toEqual([]);
      expect(await queue.depth()).toEqual({ queued: 3, running: 1 });
    });

    it("tells listeners of each change, those of other processes too, and no longer when they have left", async () => {
      const { queue, open } = await start();
      const other = await open();
      const heard = new Set<string>();
      const { promise, resolve } = Promise.withResolvers<void>();
      let wanted = "";
      const off = other.onChange((id) => {
        heard.add(id);
        if (id === wanted) resolve();
      });
      const own: string[] = [];
      const offOwn = queue.onChange((id) => own.push(id));
      const job = await pullOf(queue, "a");
      expect(own).toContain(job.id);
      const last = await pullOf(queue, "b");
      wanted = last.id;
      if (!heard.has(last.id)) await promise;
      expect(heard.has(job.id)).toBe(true);
      offOwn();
      off();
      const before = own.length;
      await pullOf(queue, "c");
      expect(own).toHaveLength(before);
    });

    limitCases(async () => (await start()).queue);

    it("never gives one job to two workers, however many take at once", async () => {
      const { queue, open } = await start();
      const queues = [queue, await open(), await open()];
      const workers = queues.flatMap((one) => [one, one, one]);
      const jobs = await Promise.all(Array.from({ length: 36 }, (_, index) => pullOf(queues[index % 3]!, `n${index}`)));
      const taken: string[] = [];
      await Promise.all(
        workers.map(async (worker) => {
          for (let count = 0; count < jobs.length / workers.length; count++) {
            const claim = await worker.claim(["pull"], NEVER);
            taken.push(claim.job.id);
            expect(claim.job.attempts).toBe(1);
            await claim.done({});
          }
        }),
      );
      expect(taken.toSorted()).toEqual(jobs.map(({ id }) => id).toSorted());
    });

    it.each(Array.from({ length: propertyRuns }, (_, index) => index + 1))(
      "does whatever is done to it as the model says (seed %i)",
      async (seed) => {
        const { queue, place, open } = await start();
        await followModel(seed, queue, place, open);
      },
    );
  });
}
