/** Pulls, deltas, collections and checks as jobs: begun, looked at, followed, cancelled. */
import type { Job, JobEvent, JobList } from "../../../src/daemon/api/schemas/jobs.ts";
import type { Question } from "./ask.ts";
import { api, asked, json, type Client } from "./client.ts";

export async function startPull(client: Client): Promise<void> {
  const { rng, world } = client;
  const reference = referenceOf(client);
  const unpack = world.unpacks && rng.chance(0.3);
  const discardBlobs = unpack && rng.chance(0.2);
  await begin(
    client,
    api("POST", "/v1/pulls", { reference, unpack, discardBlobs, ...(rng.chance(0.2) && { delta: "never" }) }),
  );
}

export async function startDelta(client: Client): Promise<void> {
  const { rng, name } = client;
  const body = {
    base: referenceOf(client),
    target: referenceOf(client),
    tag: `${name}.test/delta:${rng.int(2)}`,
    ...(rng.chance(0.5) && { format: "tar-diff" }),
  };
  await begin(client, api("POST", "/v1/deltas", body));
}

export async function startCollection(client: Client): Promise<void> {
  const body = client.rng.pick([{}, { partialsOlderThanMs: 0 }, { dryRun: true }]);
  await begin(client, api("POST", "/v1/gc", body));
}

export async function startCheck(client: Client): Promise<void> {
  await begin(client, api("POST", "/v1/fsck", {}));
}

export async function lookAtJob(client: Client): Promise<void> {
  const id = anyJob(client);
  if (id === undefined) return;
  const askedAt = performance.now();
  const answer = await asked(client, api("GET", `/v1/jobs/${id}`), { statuses: [200] });
  if (answer !== undefined) client.world.jobs.saw(json(answer) as Job, askedAt);
}

export async function cancelJob(client: Client): Promise<void> {
  const id = anyJob(client);
  if (id === undefined) return;
  const askedAt = performance.now();
  const answer = await asked(client, api("DELETE", `/v1/jobs/${id}`), { statuses: [200] });
  if (answer === undefined) return;
  client.world.jobs.saw(json(answer) as Job, askedAt);
}

/** To the end of the job, or for a while. */
export async function followJob(client: Client): Promise<void> {
  const { rng, world } = client;
  const id = anyJob(client);
  if (id === undefined) return;
  const question = { ...api("GET", `/v1/jobs/${id}/events`), headers: { accept: "text/event-stream" } };
  const leaves = rng.chance(0.6) || !world.jobs.open.includes(id);
  const askedAt = performance.now();
  const answer = await asked(client, { ...question, ...(leaves && { leaveAfter: 1 }) }, { statuses: [200] });
  if (answer === undefined) return;
  const events = eventsIn(answer.bytes.toString("utf8"));
  const jobs = events.flatMap((event) => (event.type === "job" ? [event.job] : []));
  for (const job of jobs) world.jobs.saw(job, askedAt);
  if (events[0]?.type !== "job") throw new Error(`what follows job ${id} begins with ${events[0]?.type}`);
  const last = jobs.at(-1)!;
  if (last.endedAt === null) throw new Error(`what followed job ${id} ended while it is ${last.state}`);
}

/** Every job that was acknowledged is in the list. */
export async function checkJobs(client: Client): Promise<void> {
  const { jobs } = client.world;
  const ids = jobs.ids;
  const askedAt = performance.now();
  const answer = await asked(client, api("GET", "/v1/jobs?limit=1000"), { statuses: [200] });
  if (answer === undefined) return;
  const listed = (json(answer) as JobList).jobs;
  const there = new Set(listed.map(({ id }) => id));
  const lost = ids.filter((id) => !there.has(id));
  if (lost.length > 0) throw new Error(`jobs that were acknowledged are lost: ${lost.join(", ")}`);
  for (const job of listed) jobs.saw(job, askedAt);
}

async function begin(client: Client, question: Question): Promise<void> {
  const askedAt = performance.now();
  const answer = await asked(client, question, { statuses: [202] });
  if (answer === undefined) return;
  const job = json(answer) as Job;
  if (answer.headers.location !== `/v1/jobs/${job.id}`)
    throw new Error(`job ${job.id} is at ${answer.headers.location}`);
  client.world.jobs.saw(job, askedAt);
}

function eventsIn(text: string): JobEvent[] {
  return text.split("\n\n").flatMap((block) => {
    const data = block
      .split("\n")
      .flatMap((line) => (line.startsWith("data:") ? [line.slice("data:".length).trim()] : []));
    return data.length === 0 ? [] : [JSON.parse(data.join("\n")) as JobEvent];
  });
}

function anyJob({ rng, world }: Client): string | undefined {
  const { open, ids } = world.jobs;
  const from = open.length > 0 && rng.chance(0.7) ? open : ids;
  return from.length === 0 ? undefined : rng.pick(from);
}

export function referenceOf({ rng, world }: Client): string {
  const { name, tag } = rng.pick(world.upstream.images);
  return `${world.upstream.proxy.host}/${name}:${tag}`;
}
