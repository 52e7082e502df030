/** Bad networks: whatever breaks on the way, what arrives is exactly the image, or nothing is kept that is not. */
import { onTestFinished, describe, expect, it } from "vitest";
import { join } from "node:path";
import { openStore } from "../../src/store/store.ts";
import { pull } from "../../src/transfer/pull.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import type { ProgressEvent } from "../../src/recipe/progress.ts";
import { LayerPool } from "../../src/workers/layer-pool.ts";
import type { Fault } from "../kit/faults/fault.ts";
import type { FaultRule } from "../kit/faults/fault-script.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import { testClient } from "../kit/http/test-client.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { tempDir } from "../kit/temp-dir.ts";
import { bulkImage, layerBytes } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const LAYERS = /\/blobs\//;

interface Broken {
  readonly proxy: FaultProxy;
  readonly root: string;
  /** Pulls through the proxy; what the client would sleep takes no time. */
  pull(options?: { concurrency?: number; retries?: number }): Promise<PullResult>;
  readonly events: readonly ProgressEvent[];
}

const image = await bulkImage(11, 900_000, 300_000, 50_000);
const largest = new RegExp(image.layers[0]?.descriptor.digest ?? "");

async function behind(rules: readonly FaultRule[], seed = 1, pulled = image): Promise<Broken> {
  const dir = await tempDir("varve-faults-");
  onTestFinished(() => dir[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  await pushImage(registry.host, "app", "1", pulled);
  const proxy = await startFaultProxy({ target: registry.host, rules, seed });
  onTestFinished(() => proxy.close());
  const root = join(dir.path, "store");
  const events: ProgressEvent[] = [];
  return {
    proxy,
    root,
    events,
    async pull({ concurrency = 4, retries = 5 } = {}) {
      const timeouts = { idleBodyMs: 300, headersMs: 2000, connectMs: 2000 };
      await using registry = testClient({ retries, timeouts });
      await using store = await openStore(root);
      await using threads = new LayerPool({ threads: 1 });
      const { signal } = new AbortController();
      const onProgress = (event: ProgressEvent): void => void events.push(event);
      return await pull({ store, registry, threads, signal, onProgress }, `${proxy.host}/app:1`, { concurrency });
    },
  };
}

async function expectWhole({ root, proxy }: Broken, result: PullResult, wanted = image): Promise<void> {
  // The script is there to be shown when this fails.
  expect({ result, script: proxy.describe() }).toMatchObject({ result: { status: "pulled", digest: wanted.digest } });
  expect(result.layers.map(({ digest }) => digest)).toEqual(wanted.layers.map(({ descriptor }) => descriptor.digest));
  expect(await storeFaults(root)).toEqual([]);
}

describe("one fault in a layer", () => {
  const faults: [string, Fault | readonly Fault[]][] = [
    ["the connection closes at once", { kind: "drop", afterBytes: 0 }],
    ["the connection closes in the middle", { kind: "drop", afterBytes: 123_457 }],
    ["the connection closes before the last byte", { kind: "drop", afterBytes: 899_999 }],
    ["the connection is reset", { kind: "drop", afterBytes: 400_000, how: "reset" }],
    ["the body is cut short, and says so", { kind: "truncate", toBytes: 100_000 }],
    ["the body is cut short in chunked coding", [{ kind: "truncate", toBytes: 100_000 }, { kind: "chunked" }]],
    ["the body has no length", { kind: "chunked" }],
    ["the body stalls", { kind: "stall", afterBytes: 200_000 }],
    ["a bit is flipped", { kind: "flip", atByte: 500_000 }],
    ["a bit of the first byte is flipped", { kind: "flip", atByte: 0 }],
    ["status 500", { kind: "status", status: 500 }],
    ["status 503 with Retry-After", { kind: "status", status: 503, retryAfter: 30 }],
    ["status 429", { kind: "status", status: 429, retryAfter: 60 }],
    ["status 408", { kind: "status", status: 408 }],
    ["a reset instead of an answer", { kind: "reset" }],
    ["the answer is lost", { kind: "loseAnswer" }],
    ["nonsense instead of an answer", { kind: "garbage" }],
  ];
  it.each(faults)("%s: what arrives is the image", async (_, fault) => {
    const broken = await behind([{ path: largest, nth: 1, fault }]);
    const result = await broken.pull();
    await expectWhole(broken, result);
    expect(broken.proxy.strikes.length).toBeGreaterThan(0);
    expect(result.bytes.network).toBeGreaterThanOrEqual(layerBytes(image));
  });

  it("is paid for with little more than what was lost", async () => {
    const broken = await behind([{ path: largest, nth: [1, 2, 3], fault: { kind: "drop", afterBytes: 200_000 } }]);
    const result = await broken.pull();
    await expectWhole(broken, result);
    expect(result.retries).toBe(3);
    expect(result.layers[0]?.bytes.network).toBe(image.layers[0]?.bytes.length);
    const ranges = broken.proxy.requests.filter(({ path }) => largest.test(path)).map(({ headers }) => headers.range);
    const last = (image.layers[0]?.bytes.length ?? 0) - 1;
    expect(ranges).toEqual([undefined, ...[200_000, 400_000, 600_000].map((start) => `bytes=${start}-${last}`)]);
  });

  it("that flips a bit is told, and the layer fetched once more", async () => {
    const broken = await behind([{ path: largest, nth: 1, fault: { kind: "flip", atByte: 5 } }]);
    const result = await broken.pull();
    await expectWhole(broken, result);
    expect(broken.events).toContainEqual(expect.objectContaining({ type: "fallback" }));
    expect(broken.proxy.requests.filter(({ path }) => largest.test(path))).toHaveLength(2);
  });

  it("that is there each time is an error in the end, and keeps what is good", async () => {
    const broken = await behind([{ path: largest, fault: { kind: "flip", atByte: 5 } }]);
    await expect(broken.pull()).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    expect(await storeFaults(broken.root)).toEqual([]);
    broken.proxy.setRules([]);
    await expectWhole(broken, await broken.pull());
  });
});

describe("documents", () => {
  it.each([
    ["a dropped manifest", { path: /\/manifests\//, method: "GET", nth: 1, fault: { kind: "drop", afterBytes: 50 } }],
    ["an unavailable HEAD", { method: "HEAD", nth: [1, 2], fault: { kind: "status", status: 503 } }],
    ["a stalling config", { path: new RegExp(image.config.digest), nth: 1, fault: { kind: "stall", afterBytes: 9 } }],
    ["a cut config", { path: new RegExp(image.config.digest), nth: 1, fault: { kind: "drop", afterBytes: 9 } }],
  ] as [string, FaultRule][])("%s is asked for again", async (_, rule) => {
    const broken = await behind([rule]);
    const result = await broken.pull();
    await expectWhole(broken, result);
    expect(result.retries).toBeGreaterThan(0);
  });

  it.each([
    ["a manifest", { path: /\/manifests\/sha256/, method: "GET", nth: 1, fault: { kind: "flip", atByte: 9 } }],
    ["a config", { path: new RegExp(image.config.digest), nth: 1, fault: { kind: "flip", atByte: 9 } }],
  ] as [string, FaultRule][])("%s with a flipped bit is asked for once more, and it is told", async (_, rule) => {
    const broken = await behind([rule]);
    await expectWhole(broken, await broken.pull());
    expect(broken.events).toContainEqual(expect.objectContaining({ type: "fallback", from: "first try" }));
    expect(broken.proxy.strikes).toHaveLength(1);
  });
});

describe("ranges", () => {
  const large = bulkImage(12, 24 << 20);

  it.each([
    ["are ignored", { ranged: true, fault: { kind: "ignoreRange" } }],
    ["are answered 416", { ranged: true, fault: { kind: "status", status: 416 } }],
    ["are answered 501", { ranged: true, fault: { kind: "status", status: 501 } }],
    [
      "lie about where they begin",
      { ranged: true, fault: { kind: "contentRange", value: "bytes 7-8388607/25169408" } },
    ],
    ["break off", { ranged: true, nth: { from: 1, to: 6 }, fault: { kind: "drop", afterBytes: 1_000_000 } }],
  ] as [string, FaultRule][])("that %s still give the image", async (_, rule) => {
    const broken = await behind([{ path: LAYERS, ...rule }], 1, await large);
    await expectWhole(broken, await broken.pull({ concurrency: 4 }), await large);
  });
});

describe("a line on which anything may happen", () => {
  const chaos: FaultRule[] = [
    { path: LAYERS, probability: 0.25, fault: { kind: "drop", afterBytes: 70_000 } },
    { path: LAYERS, probability: 0.1, fault: { kind: "drop", afterBytes: 20_000, how: "reset" } },
    { probability: 0.15, fault: { kind: "status", status: 503 } },
    { probability: 0.05, fault: { kind: "reset" } },
    { path: LAYERS, probability: 0.1, fault: { kind: "chunked" } },
    { path: LAYERS, probability: 0.05, fault: { kind: "ignoreRange" } },
  ];
  it.each([1, 2, 3, 4, 5])("brings the image all the same (seed %i)", async (seed) => {
    const broken = await behind(chaos, seed);
    await expectWhole(broken, await broken.pull({ retries: 12 }));
  });

  it("that is down for a while is waited for", async () => {
    const broken = await behind([{ path: largest, nth: 1, fault: { kind: "drop", afterBytes: 100_000 } }]);
    broken.proxy.setRules([{ nth: { to: 4 }, fault: { kind: "status", status: 502 } }]);
    const result = await broken.pull();
    await expectWhole(broken, result);
    expect(result.retries).toBeGreaterThanOrEqual(4);
  });
});
