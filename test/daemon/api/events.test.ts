/** Streams of events: what is known first, then what changes, to an end; and no more for one who does not read than the daemon can hold. */
import { connect, type Socket } from "node:net";
import { Ajv2020 } from "ajv/dist/2020.js";
import { request } from "undici";
import { expect, it, onTestFinished } from "vitest";
import { jobEvent, type JobEvent } from "../../../src/daemon/api/schemas/jobs.ts";
import { readEvents, type ServerSentEvent } from "../../../src/daemon/client/read-events.ts";
import { openClient } from "../../../src/index.ts";
import { mustBeCoded, mustMatch } from "../../kit/daemon/api-schemas.ts";
import { filledDaemon } from "../../kit/daemon/filled-daemon.ts";
import { startTestDaemon, type TestDaemon } from "../../kit/daemon/start-daemon.ts";

async function openStream({ origin }: TestDaemon, path: string, headers = {}) {
  const gone = new AbortController();
  onTestFinished(() => gone.abort());
  const { statusCode, headers: answered, body } = await request(origin + path, { headers, signal: gone.signal });
  expect([statusCode, answered["content-type"]]).toEqual([200, "text/event-stream; charset=utf-8"]);
  const stream = body as unknown as AsyncIterable<Uint8Array>;
  return { gone, events: readEvents(ReadableStream.from<Uint8Array>(stream)) };
}

async function all(events: AsyncIterable<ServerSentEvent>): Promise<JobEvent[]> {
  const found: JobEvent[] = [];
  for await (const { event, data } of events) {
    const value = JSON.parse(data) as JobEvent;
    expect(event).toBe(value.type);
    found.push(value);
  }
  return found;
}

it("follows a job from what it is to its end, each event as its schema says, and then the stream ends", async () => {
  const { daemon, client, names } = await filledDaemon({ has: ["app"] });
  await client.images.remove(names.target);
  const { id } = await client.pulls.create({ reference: names.target });
  const { events } = await openStream(daemon, `/v1/jobs/${id}/events`, { "last-event-id": "17\u00a0" });
  const found = await all(events);
  for (const event of found) mustMatch(jobEvent, event, "an event");
  const states = found.flatMap((event) => (event.type === "job" ? [event.job.state] : []));
  expect(["queued", "running"]).toContain(states[0]);
  expect(states.at(-1)).toBe("done");
  expect(found.at(-1)).toMatchObject({ type: "job", job: { kind: "pull", result: { status: "pulled" } } });
  expect(found.some((event) => event.type === "progress" && event.id === id)).toBe(true);
  // Whoever comes late gets the end at once.
  const late = await all((await openStream(daemon, `/v1/jobs/${id}/events`)).events);
  expect(late[0]).toMatchObject({ type: "job", job: { id, state: "done" } });
});

it("follows all jobs, until the reader goes or the daemon stops", async () => {
  const { daemon, client, names } = await filledDaemon({ has: ["app"] });
  const { events, gone } = await openStream(daemon, "/v1/events");
  const { id } = await client.gc.start();
  for await (const { data } of events) {
    const event = JSON.parse(data) as JobEvent;
    mustMatch(jobEvent, event, "an event");
    if (event.type === "job" && event.job.id === id && event.job.state === "done") break;
  }
  gone.abort();
  const second = await openStream(daemon, "/v1/events");
  await client.pulls.create({ reference: names.base });
  await second.events.next();
  const ended = all(second.events);
  await daemon.stop();
  expect(Array.isArray(await ended)).toBe(true);
});

it("is an error of HTTP for a job that there is not", async () => {
  const daemon = await startTestDaemon();
  expect(mustBeCoded(await daemon.call("GET", "/v1/jobs/none/events"), "none")).toBe("JOB_NOT_FOUND");
});

it("lets one client have so many streams and no more, and others after it has let go of one", async () => {
  const daemon = await startTestDaemon();
  const streams = await Promise.all(Array.from({ length: 64 }, () => openStream(daemon, "/v1/events")));
  expect(mustBeCoded(await daemon.call("GET", "/v1/events"), "one more")).toBe("TOO_MANY_REQUESTS");
  streams[0]!.gone.abort();
  await expect.poll(() => statusOf(daemon, "/v1/events")).toBe(200);
});

async function statusOf({ origin }: TestDaemon, path: string): Promise<number> {
  const gone = new AbortController();
  const { statusCode, body } = await request(origin + path, { signal: gone.signal });
  body.on("error", () => undefined);
  body.destroy();
  return statusCode;
}

it("keeps next to nothing for a reader who does not read", async () => {
  const daemon = await startTestDaemon();
  const socket: Socket = connect(Number(daemon.host.split(":")[1]), "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  socket.write(`GET /v1/events HTTP/1.1\r\nHost: ${daemon.host}\r\n\r\n`);
  await new Promise<void>((resolve) => void socket.once("data", () => resolve()));
  socket.pause();
  const client = openClient({ url: daemon.origin });
  // Each job is told of thrice or more, in some KB: far more than what the kernel holds of a connection.
  const images = Array.from({ length: 500 }, (_, n) => `example.com/${"long-name-".repeat(10)}${n}:1`);
  for (let n = 0; n < 100; n++) await client.fsck.start({ images });
  const last = await client.gc.start();
  await client.jobs.wait(last.id);
  await expect.poll(async () => (await client.jobs.list({ state: "queued" })).jobs.length, { timeout: 20_000 }).toBe(0);
  // What is written to it is at most what it would take to fill its buffers; it reads on from there, and what it reads is whole.
  socket.resume();
  let text = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
  await expect.poll(() => text.split("event: job").length, { timeout: 20_000 }).toBeGreaterThan(100);
  socket.destroy();
  // Each of 100 jobs has changed three times: what waited for this reader was only how each is.
  expect(text.split("event: job").length).toBeLessThan(250);
  const validate = new Ajv2020({ strict: false }).compile(jobEvent);
  const datas = [...text.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => data!);
  for (const data of datas.slice(1, -1)) {
    if (data.length > 0) expect(validate(JSON.parse(data) as unknown)).toBe(true);
  }
}, 60_000);
