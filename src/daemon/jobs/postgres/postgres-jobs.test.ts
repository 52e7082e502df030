/** The suite on PostgreSQL, and what only a server can meet: that it goes away, who else writes to it, and what its URL must not show. */
import { PgBoss } from "pg-boss";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { hasPostgres, POSTGRES_PASSWORD, startPostgres, type Postgres } from "../../../../test/kit/peers/postgres.ts";
import { makeCertificate } from "../../../../test/kit/tls/certificate.ts";
import type { QueuePlace } from "../jobs-model.suite.ts";
import { jobsSuite } from "../jobs.suite.ts";
import { VarveError } from "../../../errors/varve-error.ts";
import type { Claim, JobQueue } from "../types.ts";
import { QueueConnection } from "./connection.ts";
import { DONE, RELEASE } from "./statements.ts";
import { PostgresJobs, type PostgresJobsOptions } from "./postgres-jobs.ts";

const NEVER = new AbortController().signal;
let server: Postgres;
let made = 0;

describe.skipIf(!hasPostgres)("with a server", () => {
  beforeAll(async () => {
    server = await startPostgres({ tls: makeCertificate() });
    // One that has pg-boss' tables already; making them takes longer than a test.
    await server.createDatabase("made");
    const first = new PostgresJobs({ url: server.url("made") });
    await first.connect();
    await first[Symbol.asyncDispose]();
  });
  afterAll(() => server[Symbol.asyncDispose]());

  async function database(): Promise<string> {
    const name = `jobs${++made}`;
    await server.sql("postgres", `CREATE DATABASE ${name} TEMPLATE made`);
    return name;
  }

  async function place(): Promise<QueuePlace> {
    const name = await database();
    const workers = new Map<JobQueue, string>();
    return {
      async open(worker) {
        const queue = new PostgresJobs({ url: server.url(name), worker });
        await queue.connect();
        workers.set(queue, worker);
        return queue;
      },
      async crash(queue) {
        await forgetWorker(name, workers.get(queue)!);
      },
      async passDelays() {
        await server.sql(name, "UPDATE varve.job SET start_after = created_on WHERE state = 'retry'");
      },
    };
  }

  /** As if nothing had been heard of it for long, and somebody looked for that now: until what it said a moment ago counts no more. */
  async function forgetWorker(name: string, worker: string): Promise<void> {
    const boss = new PgBoss({ connectionString: server.url(name), schema: "varve", supervise: false, migrate: false });
    boss.on("error", () => undefined);
    await boss.start();
    const mine = `state = 'active' AND output->>'worker' = '${worker}'`;
    const db = boss.getDb();
    do {
      await db.executeSql(`UPDATE varve.job SET heartbeat_on = heartbeat_on - interval '1 hour' WHERE ${mine}`);
      await db.executeSql("UPDATE varve.queue SET monitor_claim_on = NULL, monitor_on = NULL");
      await boss.supervise();
    } while ((await db.executeSql(`SELECT 1 FROM varve.job WHERE ${mine}`)).rows.length > 0);
    await boss.stop({ graceful: false });
  }

  jobsSuite("PostgreSQL", place, { propertyRuns: 2 });

  describe("a shared queue", () => {
    async function open(options: Partial<PostgresJobsOptions> & { name?: string } = {}): Promise<PostgresJobs> {
      const url = server.url(options.name ?? (await database()));
      const queue = new PostgresJobs({ url, ...options });
      onTestFinished(() => queue[Symbol.asyncDispose]());
      return queue;
    }

    it("goes over TLS where its URL asks for it", async () => {
      const name = await database();
      const queue = await open({ url: `${server.url(name)}?sslmode=no-verify` });
      await queue.add("gc", {});
      const used = await server.sql(
        name,
        `SELECT DISTINCT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE datname = '${name}' AND application_name = 'varve'`,
      );
      expect(used).toBe("t");
    });

    it("never shows its password, whatever goes wrong", async () => {
      const shown: unknown[] = [];
      const wrong = server.url().replace(encodeURIComponent(POSTGRES_PASSWORD), "wr%40ng-s3cret");
      const nowhere = wrong.replace(server.host, "127.0.0.1:1");
      for (const url of [wrong, nowhere]) {
        const queue = await open({ url, onWarning: (warning) => shown.push(warning) });
        const error = await queue.add("gc", {}).catch((thrown: unknown) => thrown);
        expect(error).toMatchObject({ code: "QUEUE_UNAVAILABLE" });
        shown.push(error);
      }
      expect(() => new PostgresJobs({ url: "postgres://u:wr@ng-s3cret@[/x" })).toThrow(/URL/);
      for (const error of shown) {
        expect(deepText(error)).not.toMatch(/wr@ng-s3cret|wr%40ng-s3cret/);
      }
    });

    it("goes on after its server went away and came back, with what it had", async () => {
      const name = await database();
      const warnings: unknown[] = [];
      const queue = await open({ name, onWarning: (warning) => warnings.push(warning) });
      const job = await queue.add("pull", { reference: "registry.test/a" });
      const claim = await queue.claim(["pull"], NEVER);
      const waiting = queue.claim(["gc"], new AbortController().signal).catch((error: unknown) => error);
      await server.stop();
      const done = claim.done({ fine: true });
      await expect(queue.list()).rejects.toMatchObject({ code: "QUEUE_UNAVAILABLE" });
      await server.start();
      await done;
      expect(await queue.get(job.id)).toMatchObject({ state: "done", result: { fine: true } });
      expect(await waiting).toMatchObject({ code: "QUEUE_UNAVAILABLE" });
      expect(warnings).not.toEqual([]);
      const next = await queue.add("gc", {});
      expect((await queue.claim(["gc"], NEVER)).job.id).toBe(next.id);
    });

    it.each(["release", "done"] as const)(
      "hears once what is said twice because the answer was lost (%s)",
      async (how) => {
        const name = await database();
        const [mine, others] = [await open({ name, worker: "a" }), await open({ name, worker: "b" })];
        const job = await mine.add("gc", {});
        const claim = await mine.claim(["gc"], NEVER);
        const statement = how === "release" ? RELEASE : DONE;
        const { value } = Object.getOwnPropertyDescriptor(QueueConnection.prototype, "query") ?? {};
        const query = value as QueueConnection["query"];
        let theirs: Claim | undefined;
        let lost = 0;
        const spy = vi.spyOn(QueueConnection.prototype, "query").mockImplementation(async function (
          this: QueueConnection,
          text,
          values,
        ) {
          const rows = await query.call(this, text, values);
          if (text !== statement || lost++ > 0) return rows;
          if (how === "release") theirs = await others.claim(["gc"], NEVER);
          throw new VarveError("QUEUE_UNAVAILABLE", "the answer was lost");
        });
        onTestFinished(() => spy.mockRestore());
        await (how === "release" ? claim.release() : claim.done({ fine: 1 }));
        expect(lost).toBe(2);
        if (theirs !== undefined) {
          expect(await mine.get(job.id)).toMatchObject({ state: "running", attempts: 1, worker: "b" });
          expect(theirs.signal.aborted).toBe(false);
          await theirs.done({ fine: 1 });
        }
        expect(await mine.get(job.id)).toMatchObject({ state: "done", attempts: 1, result: { fine: 1 } });
      },
    );

    it("ends jobs that others have written and that make no sense", async () => {
      const name = await database();
      const queue = await open({ name });
      await queue.connect();
      const evil = [
        "'{}'",
        "'[1]'",
        "NULL",
        `'{"base": "a", "target": "b", "evil": 1}'`,
        `to_jsonb(repeat('x', 100000))`,
      ];
      for (const data of evil) {
        await server.sql(
          name,
          `INSERT INTO varve.job (name, data, heartbeat_seconds, retry_limit) VALUES ('delta', ${data}, 15, 2)`,
        );
      }
      const good = await queue.add("delta", { base: "registry.test/a", target: "registry.test/b" });
      expect(await queue.list()).toEqual([good]);
      expect((await queue.claim(["delta"], NEVER)).job.id).toBe(good.id);
      expect(await server.sql(name, "SELECT count(*) FROM varve.job WHERE state = 'failed'")).toBe(String(evil.length));
      expect(
        await server.sql(name, "SELECT DISTINCT output->'error'->>'code' FROM varve.job WHERE state = 'failed'"),
      ).toBe("JOB_INVALID");
    });

    it("tells others how far a job has come, and takes from them only what makes sense", async () => {
      const name = await database();
      const heard: unknown[] = [];
      const { promise, resolve } = Promise.withResolvers<void>();
      const daemon = await open({
        name,
        onProgress: (id, event) => {
          heard.push([id, event]);
          if (event.type === "warning" && event.message === "last") resolve();
        },
      });
      await daemon.connect();
      const worker = await open({ name });
      const { id } = await daemon.add("delta", { base: "registry.test/a", target: "registry.test/b" });
      const digest = `sha256:${"a".repeat(64)}` as never;
      const total = { total: 10, bytesPerSecond: 1, etaSeconds: null } as const;
      const progress = { type: "delta", digest, phase: "computing", ...total } as const;
      for (let done = 0; done <= 10; done++) worker.tellProgress(id, { ...progress, done });
      const forged = [
        "nonsense",
        "null",
        JSON.stringify({ p: "x", e: [] }),
        JSON.stringify({
          p: id,
          e: [{ type: "constructor" }, { type: "warning" }, { type: "wait", digest: "x", done: 1, total: 1 }],
        }),
        JSON.stringify({ p: id, e: [{ type: "warning", message: { toString: 1 } }] }),
      ];
      for (const payload of forged) await server.sql(name, `SELECT pg_notify('varve_jobs', '${payload}')`);
      worker.tellProgress(id, { type: "warning", message: "last" });
      await promise;
      expect(heard).toEqual([
        [id, { ...progress, done: 10 }],
        [id, { type: "warning", message: "last" }],
      ]);
    });
  });
});

/** All that printing an error could show. */
function deepText(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error);
  const own = Object.getOwnPropertyNames(error).map((name) => (error as unknown as Record<string, unknown>)[name]);
  return own.map((value) => (value instanceof Error ? deepText(value) : (JSON.stringify(value) ?? ""))).join("\n");
}
