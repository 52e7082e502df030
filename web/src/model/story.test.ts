import { describe, expect, it } from "vitest";
import type { ProgressEvent } from "../api/types.ts";
import { missingOf, partsOf } from "./parts.ts";
import { JobStory } from "./story.ts";

const digest = `sha256:${"a".repeat(64)}`;
const none = { network: 0, local: 0, data: 0, zero: 0 };
const progress = (done: number, counts: Partial<typeof none>): ProgressEvent => {
  return { type: "progress", digest, done, total: 1000, bytesPerSecond: 10, etaSeconds: 1, ...none, ...counts };
};

function story(...events: ProgressEvent[]): JobStory {
  const story = new JobStory();
  for (const event of events) story.apply(event, 0);
  return story;
}

describe("the strip of a layer", () => {
  it("tells what was kept from before from what came, and from what is missing", () => {
    const { layers } = story(
      { type: "layer-queued", digest, total: 1000, done: 200 },
      { type: "layer-start", digest, total: 1000, resumed: 200 },
      progress(700, { network: 300, local: 150, zero: 50 }),
    );
    expect(layers[0]).toMatchObject({
      phase: "moving",
      parts: { here: 200, network: 300, local: 150, data: 0, zero: 50, total: 1000 },
    });
    expect(layers[0] === undefined ? 0 : missingOf(layers[0].parts)).toBe(300);
  });

  it("is of the layer's bytes, also where fewer were received because they were compressed, or more because they came twice", () => {
    expect(partsOf({ ...none, network: 100, local: 500 }, { before: 0, done: 1000, total: 1000 })).toMatchObject({
      network: 500,
      local: 500,
    });
    expect(partsOf({ ...none, network: 5000 }, { before: 0, done: 400, total: 1000 })).toMatchObject({ network: 400 });
    const squeezed = partsOf({ ...none, local: 900, data: 300 }, { before: 0, done: 600, total: 1000 });
    expect(squeezed).toMatchObject({ local: 450, data: 150, network: 0 });
  });

  it("is drawn from whatever event comes first, as for who comes late", () => {
    expect(story(progress(500, { network: 500 })).layers[0]).toMatchObject({
      phase: "moving",
      parts: { network: 500 },
    });
    expect(story({ type: "layer-done", digest, total: 1000 }).layers[0]?.phase).toBe("done");
  });

  it("does not go back to an earlier phase by a late event, and ends as all of it", () => {
    const { layers } = story(
      { type: "layer-start", digest, total: 1000, resumed: 0 },
      progress(1000, { network: 1000 }),
      { type: "layer-verified", digest, total: 1000 },
      progress(1000, { network: 1000 }),
      { type: "unpack", digest, done: 500, total: 2000, entries: 3 },
      { type: "layer-done", digest, total: 1000 },
      { type: "unpack", digest, done: 2000, total: 2000, entries: 9 },
    );
    expect(layers[0]).toMatchObject({ phase: "done", bytesPerSecond: 0, unpacked: 1, parts: { network: 1000 } });
  });

  it("of what is there is of what was here before", () => {
    const { layers } = story({ type: "layer-present", digest, total: 70 });
    expect(layers[0]).toMatchObject({ phase: "done", parts: { here: 70, network: 0, total: 70 } });
  });
});

it("sums layers up, and received bytes as they are", () => {
  const other = `sha256:${"b".repeat(64)}`;
  const { parts, network } = story(progress(300, { network: 120, local: 200 }), {
    type: "layer-present",
    digest: other,
    total: 500,
  }).totals();
  expect(parts).toMatchObject({ here: 500, local: 200, network: 100, total: 1500 });
  expect(network).toBe(120);
});

it("follows a delta's layers as they are read", () => {
  const { layers } = story({
    type: "delta",
    digest,
    phase: "computing",
    done: 40,
    total: 100,
    bytesPerSecond: 5,
    etaSeconds: 2,
  });
  expect(layers[0]).toMatchObject({ phase: "moving", parts: { total: 100 }, bytesPerSecond: 5 });
  const ended = story({
    type: "delta",
    digest,
    phase: "common",
    done: 0,
    total: 100,
    bytesPerSecond: 0,
    etaSeconds: 0,
  });
  expect(ended.layers[0]).toMatchObject({ phase: "done", parts: { here: 100 } });
});

describe("what happened", () => {
  const retry: ProgressEvent = {
    type: "retry",
    digest,
    host: "registry.example",
    attempt: 1,
    delayMs: 2500,
    reason: "503",
  };

  it("is told in words, with who, why and how long", () => {
    const { told } = story(
      retry,
      { type: "failover", from: "mirror.example", to: "registry.example", reason: "it does not answer" },
      { type: "fallback", digest, from: "zstd-chunked", reason: "the registry refuses ranges" },
      { type: "throttle", host: "registry.example", limit: 1, previous: 3 },
      { type: "wait", digest, done: 0, total: 10 },
      { type: "warning", message: `blob ${digest} is off` },
    );
    expect(told.map(({ kind, text }) => `${kind}: ${text}`)).toEqual([
      "retry: aaaaaaaaaaaa: registry.example: 503; try 2 in 2.5 s",
      "fallback: goes on at registry.example: mirror.example: it does not answer",
      "fallback: aaaaaaaaaaaa: another way than zstd-chunked: the registry refuses ranges",
      "wait: registry.example wants to be asked less: 1 request at once, until it answers better",
      "wait: aaaaaaaaaaaa: another process is getting it; waiting for that one",
      "warning: blob aaaaaaaaaaaa is off",
    ]);
  });

  it("is told once with how often when it happens again and again, and does not grow without end", () => {
    const again = story(retry, retry, retry);
    expect(again.told).toMatchObject([{ times: 3 }]);
    const long = new JobStory();
    for (let at = 0; at < 500; at++) long.apply({ ...retry, attempt: at }, at);
    expect([long.told.length, long.dropped]).toEqual([200, 300]);
    expect(long.told.at(-1)?.text).toContain("try 500");
  });
});
