/** What has to hold after each death of the daemon, and at the end of a trial, over a good line. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openVarve } from "../../../src/index.ts";
import { runVarve } from "../../kit/peers/varve.ts";
import { soundnessFaults } from "../../faults/lib/judge.ts";
import type { Job } from "../../../src/daemon/api/schemas/jobs.ts";
import { api, asked, json, type Client } from "./client.ts";
import { checkHosted } from "./hosted-actions.ts";
import { checkJobs } from "./job-actions.ts";
import { mustEqual } from "./read-blob.ts";
import { checkHeld } from "./store-actions.ts";
import type { Served, TrialOptions } from "./served.ts";

/** Jobs that were under way begin anew, and each may have to retry. */
const JOBS_END_MS = 90_000;
const LOOK_MS = 50;

/** @throws Error when a store that nobody is at work on is not sound */
export async function checkStoreOf({ dir, snapshotter }: Pick<TrialOptions, "dir" | "snapshotter">): Promise<void> {
  await using varve = await openVarve({ root: join(dir, "store"), threads: 0, snapshotter });
  const faults = await soundnessFaults(varve);
  if (faults.length > 0) throw new Error(faults.join("\n"));
}

/** All that the daemon acknowledged to this client is there. */
export async function checkAcknowledged(client: Client): Promise<void> {
  for (const key of client.hosted.keys()) await checkHosted(client, key, false);
  await checkHeld(client);
  await checkJobs(client);
}

export async function checkEnd(clients: readonly Client[], daemon: Served, options: TrialOptions): Promise<void> {
  const [first] = clients as [Client];
  await untilJobsEnd(first);
  for (const client of clients) await checkAcknowledged(client);
  await pullAll(first, options);
  await readAllOfMirror(first);
  await collect(first);
  for (const client of clients) await checkAcknowledged(client);
  await mustLeaveNothing(first, options);
  const code = await daemon.stop();
  if (code !== 0) throw new Error(`the daemon ended with ${code}`);
  await checkStoreOf(options);
  const root = join(options.dir, "store");
  const fsck = await runVarve(["--snapshotter", options.snapshotter, "fsck"], { root });
  if (fsck.code !== 0) throw new Error(`varve fsck ended with ${fsck.code}: ${fsck.stderr}${fsck.stdout.toString()}`);
}

async function untilJobsEnd(client: Client): Promise<void> {
  const { jobs } = client.world;
  const until = performance.now() + JOBS_END_MS;
  await checkJobs(client);
  while (jobs.open.length > 0) {
    if (performance.now() > until) throw new Error(`jobs do not end: ${jobs.open.join(", ")}`);
    await delay(LOOK_MS);
    await checkJobs(client);
  }
}

/** Over a good line every image can be had now, whatever was left of it. */
async function pullAll(client: Client, { snapshotter }: TrialOptions): Promise<void> {
  const { upstream, jobs } = client.world;
  const pulls: string[] = [];
  for (const { name, tag } of upstream.images) {
    const body = { reference: `${upstream.proxy.host}/${name}:${tag}`, unpack: snapshotter !== "none" };
    const askedAt = performance.now();
    const answer = await asked(client, api("POST", "/v1/pulls", body), { statuses: [202] });
    const job = json(answer!) as Job;
    jobs.saw(job, askedAt);
    pulls.push(job.id);
  }
  await untilJobsEnd(client);
  for (const id of pulls) {
    const answer = await asked(client, api("GET", `/v1/jobs/${id}`), { statuses: [200] });
    const job = json(answer!) as Job;
    if (job.state !== "done") throw new Error(`a pull over a good line: ${JSON.stringify(job)}`);
  }
}

async function readAllOfMirror(client: Client): Promise<void> {
  const { upstream } = client.world;
  const of = (name: string, rest: string): string => `/v2/${upstream.proxy.host}/${name}/${rest}`;
  for (const { name, digest, bytes } of upstream.blobs) {
    const path = of(name, `blobs/${digest}`);
    mustEqual((await asked(client, { method: "GET", path }, { statuses: [200] }))!.bytes, bytes, path);
  }
  for (const { name, digest, bytes } of upstream.manifests) {
    const path = of(name, `manifests/${digest}`);
    mustEqual((await asked(client, { method: "GET", path }, { statuses: [200] }))!.bytes, bytes, path);
  }
}

async function collect(client: Client): Promise<void> {
  const askedAt = performance.now();
  const answer = await asked(client, api("POST", "/v1/gc", { partialsOlderThanMs: 0 }), { statuses: [202] });
  client.world.jobs.saw(json(answer!) as Job, askedAt);
  await untilJobsEnd(client);
}

/** Partial content is gone after a collection of all of it; uploads that nobody gave up are those whose end nobody knows. */
async function mustLeaveNothing({ world }: Client, { dir }: TrialOptions): Promise<void> {
  const root = join(dir, "store");
  const partials = await readdir(join(root, "ingest"));
  if (partials.length > 0) throw new Error(`partial content is left: ${partials.join(", ")}`);
  const uploads = join(root, "daemon", "uploads");
  const left = existsSync(uploads) ? await readdir(uploads) : [];
  const unknown = new Set(left.map((file) => file.split(".")[0] ?? "").filter((id) => !world.abandoned.has(id)));
  // Some were begun, and the daemon died before it could say their names.
  if (unknown.size > world.counted("upload of which no name is known")) {
    throw new Error(`uploads are left: ${left.join(", ")}`);
  }
  for (const file of left) {
    if (!left.includes(file.replace(/\.json$/, ".data"))) throw new Error(`of an upload ${file} is left alone`);
  }
}
