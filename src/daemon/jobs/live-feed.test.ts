/** What listeners of the feed get: all that counts, in order, and not more than they can read. */
import { describe, expect, it, onTestFinished } from "vitest";
import { tempDir } from "../../../test/kit/temp-dir.ts";
import type { Digest } from "../../oci/digest.ts";
import type { ProgressEvent } from "../../recipe/progress.ts";
import { LiveFeed } from "./live-feed.ts";
import { SqliteJobs } from "./sqlite/sqlite-jobs.ts";
import type { JobEvent, JobQueue } from "./types.ts";

const NEVER = new AbortController().signal;

async function start(): Promise<{ queue: JobQueue; feed: LiveFeed }> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const queue = await SqliteJobs.open({ directory: dir.path });
  onTestFinished(() => queue[Symbol.asyncDispose]());
  const feed = new LiveFeed(queue, (error) => expect.fail(String(error)));
  onTestFinished(() => feed[Symbol.dispose]());
  return { queue, feed };
}

function digest(number: number): Digest {
  return `sha256:${String(number).padStart(64, "0")}` as Digest;
}

function progress(blob: number, done: number): ProgressEvent {
  const kinds = { network: done, local: 0, data: 0, zero: 0 };
  return { type: "progress", digest: digest(blob), done, total: 100, bytesPerSecond: 0, etaSeconds: null, ...kinds };
}

/** In short: states of jobs, and of progress the blob and how far it is. */
function short(event: JobEvent): string {
  if (event.type === "job") return `${event.job.kind} ${event.job.state}`;
  const told = event.event;
  if (!("digest" in told) || told.digest === undefined) return told.type;
  const done = "done" in told ? ` ${told.done}` : "";
  return `${told.type} ${Number(told.digest.slice(-6))}${done}`;
}

async function readAll(events: AsyncIterable<JobEvent>): Promise<string[]> {
  const seen: string[] = [];
  for await (const event of events) seen.push(short(event));
  return seen;
}

describe("the feed of one job", () => {
  it("tells its states and its progress until it has ended", async () => {
    const { queue, feed } = await start();
    const { id } = await queue.add("gc", {});
    const events = feed.subscribe(id, NEVER);
    const next = async (): Promise<string> => short((await events.next()).value as JobEvent);
    expect(await next()).toBe("gc queued");
    const claim = await queue.claim(["gc"], NEVER);
    expect(await next()).toBe("gc running");
    feed.publish(id, progress(1, 10));
    expect(await next()).toBe("progress 1 10");
    feed.publish(id, progress(1, 20));
    await claim.done({});
    expect(await next()).toBe("progress 1 20");
    expect(await next()).toBe("gc done");
    expect((await events.next()).done).toBe(true);
  });

  it("gives who comes late the job and what is last known of each blob", async () => {
    const { queue, feed } = await start();
    const { id } = await queue.add("pull", { reference: "a/b" });
    const claim = await queue.claim(["pull"], NEVER);
    feed.publish(id, { type: "resolve", reference: "a/b" });
    for (const blob of [1, 2]) feed.publish(id, { type: "layer-queued", digest: digest(blob), total: 100, done: 0 });
    for (let done = 0; done <= 50; done++) feed.publish(id, progress(1, done));
    feed.publish(id, { type: "retry", host: "h", attempt: 1, delayMs: 1, reason: "r" });
    feed.publish(id, { type: "warning", message: "w" });
    feed.publish(id, { type: "layer-done", digest: digest(2), total: 100 });
    const late = readAll(feed.subscribe(id, NEVER));
    await new Promise(setImmediate);
    await claim.done({});
    expect(await late).toEqual([
      "pull running",
      "resolve",
      "layer-queued 1 0",
      "layer-queued 2 0",
      "progress 1 50",
      "warning",
      "layer-done 2",
      "pull done",
    ]);
    expect(await readAll(feed.subscribe(id, NEVER))).toEqual(["pull done"]);
  });

  it("keeps for who reads slowly only the newest of each blob, in the order of the changes", async () => {
    const { queue, feed } = await start();
    const { id } = await queue.add("gc", {});
    const claim = await queue.claim(["gc"], NEVER);
    const events = feed.subscribe(id, NEVER);
    expect(short((await events.next()).value as JobEvent)).toBe("gc running");
    for (let done = 1; done <= 10_000; done++) for (const blob of [1, 2, 3]) feed.publish(id, progress(blob, done));
    feed.publish(id, progress(1, 10_001));
    await claim.done({});
    expect(await readAll(events)).toEqual(["progress 2 10000", "progress 3 10000", "progress 1 10001", "gc done"]);
  });

  it("lets go of who reads nothing while more and more comes", async () => {
    const { queue, feed } = await start();
    const { id } = await queue.add("gc", {});
    await queue.claim(["gc"], NEVER);
    const events = feed.subscribe(id, NEVER);
    await events.next();
    for (let number = 0; number < 20_000; number++) {
      feed.publish(id, { type: "retry", host: "h", attempt: number, delayMs: 1, reason: "r" });
    }
    expect((await readAll(events)).length).toBeLessThanOrEqual(8192);
  });

  it("does not know jobs that there are not, and ends with its signal", async () => {
    const { queue, feed } = await start();
    await expect(feed.subscribe("nothing", NEVER).next()).rejects.toMatchObject({ code: "JOB_NOT_FOUND" });
    const { id } = await queue.add("gc", {});
    const controller = new AbortController();
    const all = readAll(feed.subscribe(id, controller.signal));
    await new Promise(setImmediate);
    controller.abort();
    expect(await all).toEqual(["gc queued"]);
    expect(await readAll(feed.subscribe(id, controller.signal))).toEqual([]);
  });
});

describe("the feed of all jobs", () => {
  it("begins with those that have not ended, and tells of all that follow", async () => {
    const { queue, feed } = await start();
    await queue.add("pull", { reference: "a/b" });
    const claim = await queue.claim(["pull"], NEVER);
    feed.publish(claim.job.id, progress(7, 1));
    const over = await queue.add("gc", {});
    await queue.cancel(over.id);
    await queue.add("fsck", {});
    const controller = new AbortController();
    const events = feed.subscribe(undefined, controller.signal);
    const next = async (): Promise<string> => short((await events.next()).value as JobEvent);
    expect([await next(), await next(), await next()]).toEqual(["fsck queued", "pull running", "progress 7 1"]);
    await queue.add("gc", {});
    expect(await next()).toBe("gc queued");
    await claim.done({});
    expect(await next()).toBe("pull done");
    controller.abort();
    expect((await events.next()).done).toBe(true);
  });
});
