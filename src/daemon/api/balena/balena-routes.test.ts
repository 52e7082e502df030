/** How a delta's progress becomes messages, whatever of it a slow reader gets, and what becomes of errors that come late. */
import { fastify } from "fastify";
import { describe, expect, it } from "vitest";
import { holdImage } from "../../../../test/kit/store/hold-image.ts";
import { transferContext } from "../../../../test/kit/store/transfer-context.ts";
import { updatedApp } from "../../../../test/kit/images/updated-app.ts";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import type { DeltaProgress } from "../../../recipe/progress.ts";
import type { DeltaCreated, DeltaLayerResult } from "../../../transfer/deltas/create-types.ts";
import type { Daemon } from "../../daemon.ts";
import type { Job, JobEvent, JobQueue } from "../../jobs/types.ts";
import { balenaRoutes } from "./balena-routes.ts";
import { goDuration, humanSize, progressBar } from "./go-text.ts";
import { DeltaMessages, familiarName, type BalenaMessage } from "./messages.ts";
import { parseReference } from "../../../oci/reference.ts";

const LAYERS = ["below", "changed", "new"].map((text) => digestOf(text));
const [below, changed, fresh] = LAYERS as [Digest, Digest, Digest];
const BASE = digestOf("base");
const id = (digest: Digest): string => digest.slice(7, 19);

function progress(digest: Digest, phase: DeltaProgress["phase"], done = 0, total = 100): DeltaProgress {
  return { type: "delta", digest, phase, done, total, bytesPerSecond: 0, etaSeconds: null };
}

function layer(diffId: Digest, how: DeltaLayerResult["how"]): DeltaLayerResult {
  const bytes = { bytes: 100, blobBytes: 50, deltaBytes: 10, deltaBlobBytes: 12, commands: 2 };
  return { diffId, how, ...bytes, copiedBytes: 90, addedBytes: 0, literalBytes: 10, helps: true, from: null };
}

const RESULT = {
  format: "librsync",
  base: "a",
  target: "b",
  baseId: BASE,
  targetId: digestOf("target"),
  digest: digestOf("delta"),
  imageId: digestOf("delta config"),
  name: "docker.io/library/delta:delta-1",
  pushed: null,
  isListed: false,
  layers: [layer(below, "common"), layer(changed, "delta"), layer(fresh, "literal")],
  bytes: 3_141_592,
  deltaBytes: 1_000_000,
  blobBytes: 2,
  deltaBlobBytes: 1,
  helps: true,
  durationMs: 1,
  peakRssBytes: 1,
  warnings: [],
} satisfies DeltaCreated;

const TOLD = [
  "a: Fingerprinting",
  "a: Fingerprint complete, took 0s",
  ...LAYERS.map((digest) => `${id(digest)}: Waiting`),
  `${id(below)}: Skipping common layer`,
  `${id(changed)}: Computing delta`,
  `${id(changed)}: Delta complete`,
  `${id(fresh)}: Computing delta`,
  `${id(fresh)}: Delta complete`,
  "Normal size: 3.142MB, Delta size: 1MB, 3.14x improvement",
  `Created delta: ${RESULT.imageId}`,
  "Successfully tagged app:1\n",
];

function story(messages: readonly BalenaMessage[]): string[] {
  const told = messages.map((message) => (message.id === undefined ? "" : `${message.id}: `) + message.status);
  return told.filter((line, at) => line !== told[at - 1]);
}

const USUAL = [
  progress(below, "common"),
  progress(changed, "queued", 0, 0),
  progress(fresh, "queued", 0, 0),
  progress(BASE, "fingerprinting", 0, 500),
  progress(BASE, "fingerprinting", 500, 500),
  progress(changed, "computing", 50),
  progress(fresh, "computing", 20),
  progress(changed, "done", 100),
  progress(fresh, "computing", 70),
  progress(fresh, "done", 100),
];

function tell(events: readonly DeltaProgress[], layers: readonly Digest[] | undefined): BalenaMessage[] {
  const messages = new DeltaMessages("a", layers, () => 0);
  return [...events.flatMap((event) => [...messages.tell(event)]), ...messages.end(RESULT, parseReference("app:1"))];
}

describe("messages", () => {
  it("come in the order that clients know, whether the layers are known before or not", () => {
    expect(story(tell(USUAL, LAYERS))).toEqual(TOLD);
    expect(story(tell(USUAL, undefined))).toEqual(TOLD);
  });

  it("are whole whatever of the progress is left out", () => {
    for (let kept = 0; kept < 1 << USUAL.length; kept++) {
      const some = USUAL.filter((_, at) => (kept >> at) & 1);
      expect(story(tell(some, LAYERS))).toEqual(TOLD);
    }
  });

  it("are the same for a layer that is twice in the target", () => {
    const twice = { ...RESULT, layers: [layer(changed, "delta"), layer(changed, "delta")] };
    const messages = new DeltaMessages("a", [changed, changed], () => 0);
    const told = story([...messages.tell(progress(changed, "done")), ...messages.end(twice, undefined)]);
    expect(told.slice(0, -2)).toEqual([
      "a: Fingerprinting",
      "a: Fingerprint complete, took 0s",
      `${id(changed)}: Waiting`,
      `${id(changed)}: Computing delta`,
      `${id(changed)}: Delta complete`,
      `${id(changed)}: Computing delta`,
      `${id(changed)}: Delta complete`,
    ]);
  });
});

it("amounts are written as Go's libraries write them", () => {
  expect([0, 999, 1000, 1_311_232, 999_999_999].map(humanSize)).toEqual(["0B", "999B", "1kB", "1.311MB", "1000MB"]);
  expect([0, 0.85, 12.5, 1234.5678, 61_001, 3_723_000].map(goDuration)).toEqual([
    "0s",
    "850µs",
    "12.5ms",
    "1.234568s",
    "1m1.001s",
    "1h2m3s",
  ]);
  expect(progressBar(50, 100)).toBe(`[${"=".repeat(25)}>${" ".repeat(25)}]      50B/100B`);
  expect(progressBar(200, 100)).toBe(`[${"=".repeat(50)}>]     200B/100B`);
  expect(progressBar(7, 0)).toBe("      7B");
  expect(["app:1", "team/app:1", "ghcr.io/a/b:1"].map((name) => familiarName(parseReference(name)))).toEqual([
    "app:1",
    "team/app:1",
    "ghcr.io/a/b:1",
  ]);
});

const JOB: Job<"delta"> = {
  id: "job",
  kind: "delta",
  input: { base: "app:1", target: "app:2" },
  state: "running",
  attempts: 1,
  createdAt: "",
  startedAt: "",
  endedAt: null,
  worker: null,
  result: null,
  error: null,
};

/** The routes over a store with two images, and a queue whose only job becomes what `events` say; of each subscription the next. */
async function routesOver(...subscriptions: readonly (readonly JobEvent[])[]) {
  const context = await transferContext();
  const { base, target } = await updatedApp();
  await holdImage(context, "app:1", base);
  await holdImage(context, "app:2", target);
  const left = [...subscriptions];
  const { signal } = new AbortController();
  const app = fastify();
  const log: Daemon["log"] = { debug() {}, info() {}, warn() {}, error() {} };
  const daemon = { context: () => Promise.resolve(context), signal, stopping: signal, log } as unknown as Daemon;
  const queue = { add: () => Promise.resolve(JOB), cancel: () => Promise.resolve(JOB) } as unknown as JobQueue;
  const feed = {
    async *subscribe() {
      yield* left.shift() ?? [];
    },
  };
  await app.register(balenaRoutes({ daemon, jobs: { queue, feed }, version: "1" }));
  return app;
}

const error = { code: "NO_SPACE", message: "the disk is full", hint: "make room" } as const;
const FAILED: JobEvent = { type: "job", job: { ...JOB, state: "failed", error } };
const READ: JobEvent = { type: "progress", id: "job", event: progress(BASE, "fingerprinting", 5, 500) };
const PATH = "/images/delta?src=app:1&dest=app:2";

describe("what fails", () => {
  it("before anything was told is an error of HTTP", async () => {
    const app = await routesOver([FAILED]);
    const answer = await app.inject({ method: "POST", url: PATH });
    expect(answer.statusCode).toBe(507);
    expect(answer.json()).toEqual({ message: error.message, error });
  });

  it("later is the last message, under the status of before", async () => {
    const app = await routesOver([READ, FAILED]);
    const answer = await app.inject({ method: "POST", url: PATH });
    expect(answer.statusCode).toBe(200);
    const lines = answer.body.split("\r\n").map((text) => (text === "" ? null : (JSON.parse(text) as BalenaMessage)));
    expect(lines).toEqual([
      expect.objectContaining({ id: "app:1", status: "Fingerprinting" }),
      { error: error.message, errorDetail: { code: 507, message: error.message } },
      null,
    ]);
  });

  it("is not that the feed lets go of a reader who is behind: it is asked again", async () => {
    const done: JobEvent = { type: "job", job: { ...JOB, state: "done", result: RESULT } };
    const app = await routesOver([READ], [READ], [done]);
    const answer = await app.inject({ method: "POST", url: PATH });
    expect(answer.body).toContain(`Created delta: ${RESULT.imageId}`);
  });
});
