/** The daemon's runner on a real queue, store and registry: how many at once, what is told and counted, and how it stops. */
import { describe, expect, it, onTestFinished } from "vitest";
import { startFaultProxy, type FaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import { defaultConfig } from "../config/defaults.ts";
import type { JobsConfig } from "../config/types.ts";
import type { Daemon } from "../daemon.ts";
import { JobRunner } from "./job-runner.ts";
import { LiveFeed } from "./live-feed.ts";
import { SqliteJobs } from "./sqlite/sqlite-jobs.ts";
import type { Job } from "./types.ts";

const NEVER = new AbortController().signal;
const SIZE = 3 << 20;

interface Scene {
  readonly context: TestContext;
  readonly queue: SqliteJobs;
  readonly feed: LiveFeed;
  readonly registry: KitRegistry;
  readonly proxy: FaultProxy;
  readonly image: KitImage;
  readonly reference: string;
  /** Each call of the metrics, as text. */
  readonly counted: readonly string[];
  readonly run: (jobs?: Partial<JobsConfig>) => JobRunner;
  readonly ended: (job: Job) => Promise<Job>;
  /** Lets what is waited for an hour pass. */
  readonly pass: () => void;
}

async function start(): Promise<Scene> {
  const context = await transferContext();
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const image = await buildImage({ compression: "none", layers: [[file("a", createRng(1).bytes(SIZE))]] });
  for (const name of ["a", "b", "c"]) await pushImage(registry.host, name, "1", image);
  const proxy = await startFaultProxy({ target: registry.host });
  onTestFinished(() => proxy.close());
  let passed = 0;
  const queue = await SqliteJobs.open({ directory: `${context.path}/daemon`, now: () => Date.now() + passed });
  onTestFinished(() => queue[Symbol.asyncDispose]());
  const feed = new LiveFeed(queue, (error) => expect.fail(String(error)));
  const counted: string[] = [];
  const count =
    (what: string) =>
    (...values: unknown[]) =>
      void counted.push([what, ...values].join(" "));
  const metrics: Daemon["metrics"] = {
    bytes: count("bytes"),
    jobEnded: (kind, state) => count("ended")(kind, state),
    retried: () => count("retried")(),
    fellBack: count("fellBack"),
    cache: count("cache"),
    served: count("served"),
    queue: ({ queued, running }) => count("queue")(queued, running),
  };
  const log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (fields: object) => expect.fail(JSON.stringify(fields)),
  };
  const config = defaultConfig({});
  return {
    context,
    queue,
    feed,
    registry,
    proxy,
    image,
    reference: `${proxy.host}/a:1`,
    counted,
    run(jobs = {}) {
      const daemon = {
        config: () => ({ ...config, jobs: { ...config.jobs, ...jobs } }),
        context: (bound: object) => Promise.resolve({ ...context, ...bound }),
        metrics,
        log,
        stopping: NEVER,
        signal: NEVER,
      } as Daemon;
      const runner = new JobRunner({ daemon, queue, feed });
      onTestFinished(() => runner[Symbol.asyncDispose]());
      return runner;
    },
    async ended({ id }) {
      for await (const event of feed.subscribe(id, NEVER))
        if (event.type === "job" && event.job.endedAt !== null) return event.job;
      return expect.fail(`job ${id} has no end`);
    },
    pass: () => {
      passed += 3_600_000;
    },
  };
}

/** Settles when so many jobs of the queue are running. */
async function untilRunning(queue: SqliteJobs, wanted: number): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const look = async (): Promise<void> => {
    if ((await queue.depth()).running === wanted) resolve();
  };
  const off = queue.onChange(() => void look());
  await look();
  await promise;
  off();
}

describe("the runner", () => {
  it("runs what it is given, tells how far it is, and counts what came of it", async () => {
    const { queue, run, ended, reference, feed, counted, context, image } = await start();
    run();
    const job = await queue.add("pull", { reference, unpack: false });
    const types = new Set<string>();
    for await (const event of feed.subscribe(job.id, NEVER)) if (event.type === "progress") types.add(event.event.type);
    const done = await ended(job);
    expect(done).toMatchObject({
      state: "done",
      attempts: 1,
      error: null,
      result: { status: "pulled", digest: image.digest },
    });
    expect([...types]).toEqual(expect.arrayContaining(["resolve", "image-done"]));
    expect((await context.store.images.list()).map(({ name }) => name)).toEqual([reference]);
    const { bytes } = done.result as NonNullable<Job<"pull">["result"]>;
    expect(counted).toEqual(expect.arrayContaining([`bytes network ${bytes.network}`, "ended pull done", "queue 0 0"]));
    expect(bytes.network).toBeGreaterThanOrEqual(SIZE);
    const checked = await ended(await queue.add("fsck", {}));
    expect(checked).toMatchObject({ state: "done", result: { sound: true, checked: { images: 1 } } });
    expect(await ended(await queue.add("gc", { dryRun: true }))).toMatchObject({
      state: "done",
      result: { dryRun: true },
    });
  });

  it("keeps the coded error of what failed, and tries only that again which may work later", async () => {
    const { queue, run, ended, proxy, reference, counted, pass } = await start();
    run();
    const unknown = await ended(await queue.add("pull", { reference: `${proxy.host}/no:1` }));
    expect(unknown).toMatchObject({ state: "failed", attempts: 1, result: null });
    expect(unknown.error?.code).toMatch(/^(MANIFEST|REPOSITORY)_UNKNOWN$/);
    expect(counted).toContain("ended pull failed");
    proxy.setRules([{ path: /manifests/, fault: { kind: "status", status: 503 } }]);
    const job = await queue.add("pull", { reference, unpack: false });
    const again = feedUntil(queue, job.id, ({ state, attempts }) => state === "queued" && attempts === 1);
    expect(await again).toMatchObject({ error: { code: "REGISTRY_UNAVAILABLE" } });
    expect(counted).toContain("retried");
    proxy.setRules([]);
    pass();
    // Whatever changes, who waits looks again.
    await queue.add("gc", { dryRun: true });
    expect(await ended(job)).toMatchObject({ state: "done", attempts: 2, error: null });
  });

  it("runs so many of a kind at once as it is told, and other kinds beside them", async () => {
    const { queue, run, ended, proxy } = await start();
    proxy.setRules([{ path: /\/blobs\//, fault: { kind: "stall", afterBytes: 1000 } }]);
    run({ pulls: 2 });
    const pulls: Job[] = [];
    for (const name of ["a", "b", "c"])
      pulls.push(await queue.add("pull", { reference: `${proxy.host}/${name}:1`, unpack: false }));
    await untilRunning(queue, 2);
    expect(await ended(await queue.add("gc", {}))).toMatchObject({ state: "done" });
    expect((await queue.list({ state: "queued" })).map(({ id }) => id)).toEqual([pulls[2]!.id]);
    proxy.setRules([]);
    // The two that wait for bytes that never come make room.
    for (const { id } of pulls.slice(0, 2)) expect(await queue.cancel(id)).toMatchObject({ state: "cancelled" });
    expect(await ended(pulls[2]!)).toMatchObject({ state: "done" });
  });

  it("gets what two jobs want at the same time once", async () => {
    const { queue, run, ended, reference, registry, image } = await start();
    run({ pulls: 2 });
    const jobs = await Promise.all([1, 2].map(() => queue.add("pull", { reference, unpack: false })));
    const results = await Promise.all(jobs.map(ended));
    expect(results).toMatchObject([{ state: "done" }, { state: "done" }]);
    const layer = image.layers[0]!.descriptor.digest;
    const sent = registry.requests.filter(({ method, path }) => method === "GET" && path.endsWith(layer));
    expect(sent.reduce((sum, { sent: bytes }) => sum + bytes, 0)).toBe(image.layers[0]!.bytes.length);
  });

  it("puts back what runs when it is stopped, and the next one goes on", async () => {
    const { queue, run, ended, proxy, reference, counted, feed } = await start();
    // Slowly enough to be told of before it stops.
    const slow = { kind: "slow", bytesPerSecond: 2 << 20 } as const;
    proxy.setRules([{ path: /\/blobs\//, fault: [slow, { kind: "stall", afterBytes: 2 << 20 }] }]);
    const first = run();
    const job = await queue.add("pull", { reference, unpack: false });
    for await (const event of feed.subscribe(job.id, NEVER)) {
      if (event.type === "progress" && event.event.type === "progress" && event.event.done > 0) break;
    }
    await first[Symbol.asyncDispose]();
    expect(await queue.get(job.id)).toMatchObject({ state: "queued", attempts: 0 });
    expect(counted.filter((text) => text.startsWith("ended"))).toEqual([]);
    proxy.setRules([]);
    run();
    const done = await ended(job);
    expect(done).toMatchObject({ state: "done", attempts: 1 });
    expect((done.result as Job<"pull">["result"])?.resumedBytes).toBeGreaterThan(0);
  });
});

/** The job as soon as it is so. */
async function feedUntil(queue: SqliteJobs, id: string, isSo: (job: Job) => boolean): Promise<Job> {
  const { promise, resolve } = Promise.withResolvers<Job>();
  const look = async (): Promise<void> => {
    const job = await queue.get(id);
    if (job !== undefined && isSo(job)) resolve(job);
  };
  const off = queue.onChange(() => void look());
  await look();
  const job = await promise;
  off();
  return job;
}
