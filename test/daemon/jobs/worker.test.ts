/** Deltas of a shared queue: a daemon is asked for them, workers elsewhere make them, and one that dies is stood in for. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import type { Job } from "../../../src/daemon/jobs/types.ts";
import type { PullResult } from "../../../src/transfer/pull-result.ts";
import { startTestDaemon } from "../../kit/daemon/start-daemon.ts";
import { startFaultProxy } from "../../kit/faults/fault-proxy.ts";
import { pushImage } from "../../kit/images/push-image.ts";
import { updatedApp } from "../../kit/images/updated-app.ts";
import { hasPostgres, POSTGRES_PASSWORD, startPostgres, type Postgres } from "../../kit/peers/postgres.ts";
import type { RunningProgram } from "../../kit/peers/run.ts";
import { runVarve, startVarve } from "../../kit/peers/varve.ts";
import { startRegistry } from "../../kit/registry/registry.ts";
import { tempDir } from "../../kit/temp-dir.ts";
import { endedJob } from "./ended-job.ts";

const JSON_TYPE = { "content-type": "application/json" };
let server: Postgres;

describe.skipIf(!hasPostgres)("varve worker", () => {
  beforeAll(async () => {
    server = await startPostgres();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  function startWorker(root: string, url: string, ...args: string[]): RunningProgram {
    const worker = startVarve(["worker", ...args], { root, env: { VARVE_QUEUE: url } });
    onTestFinished(() => worker[Symbol.asyncDispose]());
    return worker;
  }

  it("makes what a daemon was asked for; one that is killed is stood in for once, and the delta gives the target", async () => {
    await using dir = await tempDir();
    const url = await server.createDatabase("one");
    const { base, target } = await updatedApp();
    await using registry = await startRegistry();
    await pushImage(registry.host, "app", "1", base);
    await pushImage(registry.host, "app", "2", target);
    // What the first worker wants to push goes nowhere, so that it is at it for as long as it takes to kill it.
    await using proxy = await startFaultProxy({
      target: registry.host,
      rules: [{ method: "POST", path: /\/uploads\//, fault: { kind: "latency", ms: 600_000 } }],
    });
    const daemon = await startTestDaemon({ config: { jobs: { queue: url } } });
    const workers = ["a", "b"].map((name) => startWorker(`${dir.path}/${name}`, url));
    await Promise.all(workers.map((worker) => worker.output(/working off /)));
    const push = `${proxy.host}/app:1-2`;
    const input = { base: `${proxy.host}/app:1`, target: `${proxy.host}/app:2`, push };
    const added = await daemon.call("POST", "/v1/deltas", JSON_TYPE, JSON.stringify(input));
    expect(added.status).toBe(202);
    const { id } = added.json() as unknown as Job;

    const [killed, other] = await Promise.race(
      [workers, workers.toReversed()].map(async (both) => {
        await both[0]!.output(/job \S+: both images are here, comparing/);
        return both;
      }),
    );
    const atWork = (await daemon.call("GET", `/v1/jobs/${id}`)).json() as unknown as Job;
    expect(atWork).toMatchObject({ state: "running", attempts: 1 });
    expect(atWork.worker).toMatch(new RegExp(`:${killed!.pid}$`));
    killed!.kill("SIGKILL");
    await killed!.result;
    proxy.setRules([]);
    // As if the time had passed in which it should have been heard of; who looks for that is the other one, or the daemon.
    await server.sql("one", "UPDATE varve.job SET heartbeat_on = heartbeat_on - interval '1 hour'");
    const job = await endedJob(daemon.host, id);
    expect(job).toMatchObject({
      state: "done",
      attempts: 2,
      error: null,
      result: { pushed: push, format: "librsync" },
    });
    expect(job.worker).toMatch(new RegExp(`:${other!.pid}$`));

    other!.kill("SIGTERM");
    const ended = await other!.result;
    expect([ended.code, ended.stdout.toString()]).toEqual([0, "1 done, 0 failed, 0 left to others\n"]);
    expect(ended.stderr).not.toContain(POSTGRES_PASSWORD);
    expect(ended.stderr).not.toContain(encodeURIComponent(POSTGRES_PASSWORD));

    const update = async (name: string, reference: string): Promise<PullResult> => {
      const root = `${dir.path}/${name}`;
      await runVarve(["pull", "--snapshotter", "copy", `${registry.host}/app:1`], { root });
      const { stdout } = await runVarve(["pull", "--snapshotter", "copy", "--json", reference], { root });
      return JSON.parse(stdout.toString()) as PullResult;
    };
    // By the name of the delta, and as what the repository has for who wants the target.
    const named = await update("c", `${registry.host}/app:1-2`);
    expect(named).toMatchObject({ status: "pulled", imageId: target.config.digest });
    expect(named.layers.map(({ how }) => how)).toContain("librsync-delta");
    const found = await update("d", `${registry.host}/app:2`);
    expect(found).toMatchObject({ status: "pulled", imageId: target.config.digest, digest: target.digest });
    expect(found.layers.map(({ how }) => how)).toContain("librsync-delta");
  });

  it("puts back what it is at when it is stopped, is told of a cancelled job, and keeps its store small", async () => {
    await using dir = await tempDir();
    const url = await server.createDatabase("two");
    const { base, target } = await updatedApp();
    await using registry = await startRegistry();
    for (const name of ["app", "other"]) {
      await pushImage(registry.host, name, "1", base);
      await pushImage(registry.host, name, "2", target);
    }
    const hold = { method: "POST", path: /\/uploads\//, fault: { kind: "latency", ms: 600_000 } } as const;
    await using proxy = await startFaultProxy({ target: registry.host, rules: [hold] });
    const daemon = await startTestDaemon({ config: { jobs: { queue: url } } });
    const add = async (name: string): Promise<string> => {
      const at = `${proxy.host}/${name}`;
      const input = { base: `${at}:1`, target: `${at}:2`, push: `${at}:1-2` };
      const added = await daemon.call("POST", "/v1/deltas", JSON_TYPE, JSON.stringify(input));
      return (added.json() as unknown as Job).id;
    };
    const first = startWorker(`${dir.path}/a`, url);
    const stopped = await add("app");
    await first.output(/comparing/);
    first.kill("SIGTERM");
    expect(await first.result).toMatchObject({ code: 0 });
    expect(first.said()).toContain(`job ${stopped}: left to whoever takes it next`);
    const released = (await daemon.call("GET", `/v1/jobs/${stopped}`)).json();
    expect(released).toMatchObject({ state: "queued", attempts: 0, worker: null });

    const second = startWorker(`${dir.path}/b`, url, "--keep-storage", "1");
    await second.output(/comparing/);
    const cancelled = await daemon.call("DELETE", `/v1/jobs/${stopped}`);
    expect(cancelled.json()).toMatchObject({ state: "cancelled" });
    await second.output(new RegExp(`job ${stopped}: cancelled`));
    proxy.setRules([]);
    expect(await endedJob(daemon.host, await add("other"))).toMatchObject({ state: "done", attempts: 1 });
    await second.output(/took out \S*app:1/);
    second.kill("SIGTERM");
    expect((await second.result).stdout.toString()).toBe("1 done, 0 failed, 1 left to others\n");
  });

  it("fails a job for good whose image is not there, and asks for a place to push to before it is added", async () => {
    await using dir = await tempDir();
    const url = await server.createDatabase("three");
    await using registry = await startRegistry();
    const daemon = await startTestDaemon({ config: { jobs: { queue: url } } });
    const add = (input: object) => daemon.call("POST", "/v1/deltas", JSON_TYPE, JSON.stringify(input));
    const images = { base: `${registry.host}/no:1`, target: `${registry.host}/no:2` };
    const refused = await add(images);
    expect([refused.status, refused.json()]).toMatchObject([400, { error: { code: "JOB_INVALID" } }]);
    startWorker(`${dir.path}/a`, url);
    const { id } = (await add({ ...images, push: `${registry.host}/no:1-2` })).json() as unknown as Job;
    expect(await endedJob(daemon.host, id)).toMatchObject({
      state: "failed",
      attempts: 1,
      error: { code: expect.stringMatching(/MANIFEST_UNKNOWN|REPOSITORY_UNKNOWN/) as string },
    });
  });
});

describe("varve worker without a queue", () => {
  it("says what is wrong, without what is secret", async () => {
    await using dir = await tempDir();
    const none = await runVarve(["worker"], { root: dir.path });
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining("CONFIGURATION_INVALID")]);
    const url = "postgres://user:topsecret@127.0.0.1:1/jobs";
    const { code, stderr } = await runVarve(["worker", "--queue", url], { root: dir.path });
    expect([code, stderr]).toEqual([1, expect.stringContaining("QUEUE_UNAVAILABLE: the queue at 127.0.0.1:1/jobs")]);
    expect(stderr).not.toContain("topsecret");
  });
});
