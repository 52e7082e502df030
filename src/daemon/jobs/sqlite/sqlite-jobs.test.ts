/** The suite on jobs.db, and what only a file can meet: damage, other users, newer versions, time. */
import { existsSync } from "node:fs";
import { readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { describe, expect, it, onTestFinished } from "vitest";
import { tempDir } from "../../../../test/kit/temp-dir.ts";
import type { QueuePlace } from "../jobs-model.suite.ts";
import { jobsSuite } from "../jobs.suite.ts";
import type { JobQueue } from "../types.ts";
import { SqliteJobs, type SqliteJobsOptions } from "./sqlite-jobs.ts";

const NEVER = new AbortController().signal;
const DAY_MS = 86_400_000;

async function place(): Promise<QueuePlace> {
  const dir = await tempDir();
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const locks = new Map<JobQueue, string>();
  let passed = 0;
  const now = (): number => Date.now() + passed;
  const lockFiles = async (): Promise<string[]> => readdir(join(dir.path, "owners")).catch(() => []);
  return {
    async open(worker) {
      const before = await lockFiles();
      const queue = await SqliteJobs.open({ directory: dir.path, worker, now, pollMs: 20 });
      locks.set(queue, (await lockFiles()).find((name) => !before.includes(name)) ?? "");
      return queue;
    },
    async crash(queue) {
      // Who finds no lock at its name takes it, as if the kernel had freed it; whoever comes next looks for that.
      await rm(join(dir.path, "owners", locks.get(queue)!));
      const next = await SqliteJobs.open({ directory: dir.path, now });
      await next[Symbol.asyncDispose]();
    },
    passDelays() {
      passed += 600_000;
      return Promise.resolve();
    },
  };
}

jobsSuite("SQLite", place, { propertyRuns: 6 });

describe("jobs.db", () => {
  async function directory(): Promise<string> {
    const dir = await tempDir();
    onTestFinished(() => dir[Symbol.asyncDispose]());
    return join(dir.path, "daemon");
  }
  async function open(options: SqliteJobsOptions): Promise<SqliteJobs> {
    const queue = await SqliteJobs.open(options);
    onTestFinished(() => queue[Symbol.asyncDispose]());
    return queue;
  }

  it("is its user's alone", async () => {
    const dir = await directory();
    const queue = await open({ directory: dir });
    await queue.add("gc", {});
    for (const name of ["jobs.db", "jobs.db-wal", "jobs.db-shm"]) {
      expect((await stat(join(dir, name))).mode & 0o777).toBe(0o600);
    }
    expect((await stat(dir)).mode & 0o777).toBe(0o700);
  });

  it.each([
    ["no database at all", async (path: string) => writeFile(path, "x".repeat(5000))],
    ["cut off", async (path: string) => truncate(path, (await stat(path)).size - 5000)],
    [
      "overwritten in its midst",
      async (path: string) => {
        const bytes = await readFile(path);
        await writeFile(path, Buffer.concat([bytes.subarray(0, 4096), Buffer.alloc(bytes.length - 4096, 0x5a)]));
      },
    ],
  ])("is set aside with a warning when it is %s, and an empty one takes its place", async (_, damage) => {
    const dir = await directory();
    const queue = await open({ directory: dir });
    for (let count = 0; count < 50; count++) await queue.add("pull", { reference: `registry.test/${count}` });
    await queue[Symbol.asyncDispose]();
    await damage(join(dir, "jobs.db"));
    const warnings: unknown[] = [];
    const again = await open({ directory: dir, onWarning: (warning) => warnings.push(warning) });
    expect(warnings).toMatchObject([{ code: "QUEUE_CORRUPT" }]);
    expect(await again.list()).toEqual([]);
    const job = await again.add("gc", {});
    expect((await again.claim(["gc"], NEVER)).job.id).toBe(job.id);
    expect(existsSync(join(dir, "jobs.db.damaged"))).toBe(true);
  });

  it("is refused untouched when a newer varve has made it", async () => {
    const dir = await directory();
    await (await open({ directory: dir }))[Symbol.asyncDispose]();
    const database = new DatabaseSync(join(dir, "jobs.db"));
    database.exec("PRAGMA user_version = 99");
    database.close();
    const before = await readFile(join(dir, "jobs.db"));
    await expect(SqliteJobs.open({ directory: dir })).rejects.toMatchObject({ code: "STORE_NEWER" });
    expect((await readFile(join(dir, "jobs.db"))).equals(before)).toBe(true);
  });

  it("forgets jobs that ended some days ago, and no others", async () => {
    const dir = await directory();
    let now = Date.now();
    const options = { directory: dir, now: () => now, keepDays: () => 2 };
    const queue = await open(options);
    const [old, young, waits] = [await queue.add("gc", {}), await queue.add("gc", {}), await queue.add("fsck", {})];
    await (await queue.claim(["gc"], NEVER)).done({});
    now += 1.5 * DAY_MS;
    await (await queue.claim(["gc"], NEVER)).done({});
    await queue[Symbol.asyncDispose]();
    now += DAY_MS;
    const again = await open(options);
    expect((await again.list()).map(({ id }) => id)).toEqual([waits.id, young.id]);
    expect(await again.get(old.id)).toBeUndefined();
  });

  it("puts back what its process was at when it is closed", async () => {
    const dir = await directory();
    const queue = await open({ directory: dir });
    const job = await queue.add("gc", {});
    const claim = await queue.claim(["gc"], NEVER);
    await queue[Symbol.asyncDispose]();
    expect(claim.signal.aborted).toBe(true);
    await expect(claim.done({})).rejects.toMatchObject({ code: "JOB_LOST" });
    await expect(queue.get(job.id)).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
    const again = await open({ directory: dir });
    expect(await again.get(job.id)).toMatchObject({ state: "queued", attempts: 1 });
    expect(await readdir(join(dir, "owners"))).toHaveLength(1);
  });
});
