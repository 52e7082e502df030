/**
 * A registry whose store may send only so much at a time and then answers 503 "Egress is over the account limit": what Tart's
 * users met with images of 30 GB behind GHCR, and had to begin anew each time.
 */
import { onTestFinished, describe, expect, it } from "vitest";
import { openStore } from "../../src/store/store.ts";
import type { ProgressEvent } from "../../src/recipe/progress.ts";
import { pull } from "../../src/transfer/pull.ts";
import { LayerPool } from "../../src/workers/layer-pool.ts";
import { fakeClock } from "../kit/http/fake-clock.ts";
import { testClient } from "../kit/http/test-client.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { EgressLimit, type EgressOptions } from "../kit/registry/egress.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, layerBytes } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const MIB = 1 << 20;
const ALLOWANCE = 4_000_000;

const image = await bulkImage(31, ...Array.from({ length: 12 }, () => 2 * MIB));
const oneLayer = await bulkImage(32, 24 * MIB);

interface Scene {
  readonly machine: Machine;
  readonly registry: KitRegistry;
  readonly egress: EgressLimit;
  readonly reference: string;
  /** Body bytes of blobs that the registry sent; refusals not counted. */
  readonly sent: () => number;
}

async function limited(pulled: KitImage, options: Omit<EgressOptions, "bytes">): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  await pushImage(registry.host, "vm", "1", pulled);
  registry.clearRequests();
  const egress = new EgressLimit({ bytes: ALLOWANCE, ...options });
  registry.setQuirks({ egress });
  const sent = (): number =>
    registry.requests
      .filter(({ method, path, status }) => method === "GET" && path.includes("/blobs/") && status < 300)
      .reduce((sum, request) => sum + request.sent, 0);
  return { machine, registry, egress, reference: `${registry.host}/vm:1`, sent };
}

const wholeSize = (pulled: KitImage): number => layerBytes(pulled) + pulled.config.bytes.length;

describe("varve pull from a store that may send 4 MB at a time", () => {
  it("finishes by itself, and fetches nothing twice", async () => {
    const { machine, egress, reference, sent } = await limited(image, { retryAfter: 0 });
    const result = await machine.pull("--concurrency", "2", reference);
    expect(result).toMatchObject({ status: "pulled", digest: image.digest });
    expect(egress.refused).toBeGreaterThanOrEqual(4);
    expect(result.retries).toBe(egress.refused);
    expect(sent()).toBe(wholeSize(image));
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("finishes one large layer too, whose body is cut off wherever the limit is reached", async () => {
    const { machine, egress, reference, sent } = await limited(oneLayer, { retryAfter: 0, cuts: true });
    const result = await machine.pull(reference);
    expect(result).toMatchObject({ status: "pulled", digest: oneLayer.digest });
    expect(egress.refused).toBeGreaterThanOrEqual(5);
    expect(sent()).toBe(wholeSize(oneLayer));
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("says in words why it waits, and asks for less at once", async () => {
    const { machine, reference } = await limited(await bulkImage(33, MIB, MIB, MIB, MIB, MIB, MIB), { retryAfter: 0 });
    const { code, stderr } = await machine.varve("--verbose", "--progress", "plain", "pull", reference);
    expect(code).toBe(0);
    expect(stderr).toMatch(
      /REGISTRY_QUOTA: .*has reached a quota.*Egress is over the account limit.*; try 2 in \S+ m?s/,
    );
    expect(stderr).toMatch(/wants to be asked less: (one request|2 requests) at once/);
  });

  it("waits for minutes where the registry names no time, never longer without progress than allowed", async () => {
    const { machine, egress, reference } = await limited(image, { refusals: 4 });
    const clock = fakeClock();
    const events: ProgressEvent[] = [];
    await using client = testClient({ clock });
    await using store = await openStore(machine.root);
    await using threads = new LayerPool({ threads: 1 });
    const { signal } = new AbortController();
    const context = {
      store,
      registry: client,
      threads,
      signal,
      onProgress: (event: ProgressEvent) => void events.push(event),
    };
    const result = await pull(context, reference, { concurrency: 1 });
    expect(result).toMatchObject({ status: "pulled", digest: image.digest });
    const waits = events.flatMap((event) => (event.type === "retry" ? [event.delayMs] : []));
    expect(waits).toHaveLength(egress.refused);
    expect(waits.slice(0, 4)).toEqual([5000, 10_000, 20_000, 40_000]);
    expect(events.some(({ type }) => type === "throttle")).toBe(true);
  });
});

describe("varve pull --retries 0 from it", () => {
  it("fails with what to do, keeps what came through a gc, and the next one fetches only the rest", async () => {
    const { machine, egress, reference, sent } = await limited(image, {});
    const flags = ["--retries", "0", "pull", "--concurrency", "2", reference];
    let failures = 0;
    let outcome = await machine.varve("--json", "--progress", "none", ...flags);
    for (; outcome.code !== 0 && failures < 20; failures++) {
      expect(outcome.code).toBe(1);
      expect(outcome.json).toMatchObject({
        error: {
          code: "REGISTRY_QUOTA",
          message: expect.stringContaining("Egress is over the account limit"),
          hint: expect.stringMatching(/kept.*same command.*mirror.*--retry-max-time/),
        },
      });
      expect(await machine.images()).toEqual([]);
      await machine.ok("gc");
      outcome = await machine.varve("--json", "--progress", "none", ...flags);
    }
    expect(outcome.json).toMatchObject({ status: "pulled", digest: image.digest });
    expect(failures).toBeGreaterThanOrEqual(2);
    expect(egress.refused).toBeGreaterThanOrEqual(failures);
    // What the other transfer had under way when one was refused; the store's own checkpoints are further apart than this.
    expect(sent()).toBeLessThanOrEqual(wholeSize(image) + failures * 2 * MIB);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("loses nothing at all when one transfer goes on at a time", async () => {
    const { machine, egress, reference, sent, registry } = await limited(image, {});
    const flags = ["--concurrency", "1", reference];
    const error = await machine.fails("--retries", "0", "pull", ...flags);
    expect(error).toMatchObject({ code: "REGISTRY_QUOTA", exit: 1 });
    const first = sent();
    expect(first).toBeGreaterThanOrEqual(ALLOWANCE);
    await machine.ok("gc");
    registry.setQuirks({});
    const second = await machine.pull(...flags);
    expect(second).toMatchObject({ status: "pulled", digest: image.digest, retries: 0 });
    expect(sent()).toBe(wholeSize(image));
    expect(egress.refused).toBe(1);
  });
});
