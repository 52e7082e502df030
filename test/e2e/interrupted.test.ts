/** Pulls that are killed, stopped, or not alone: what arrived stays, and nothing is fetched twice. */
import { onTestFinished, describe, expect, it } from "vitest";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import type { RunningProgram } from "../kit/peers/run.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage, layerBytes } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const MIB = 1 << 20;
const BLOBS = /\/blobs\//;

interface Scene {
  readonly machine: Machine;
  readonly proxy: FaultProxy;
  readonly image: KitImage;
  readonly reference: string;
}

/** An image behind a proxy whose layers stop coming after so many bytes each, until its rules are taken away. */
async function stalling(image: KitImage, afterBytes: number): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  await pushImage(registry.host, "app", "1", image);
  const layers = new RegExp(image.layers.map(({ descriptor }) => descriptor.digest).join("|"));
  // Slowly enough for progress to be reported before they stop.
  const slow = { kind: "slow", bytesPerSecond: 5_000_000 } as const;
  const rules = [{ path: layers, fault: [slow, { kind: "stall", afterBytes } as const] }];
  const proxy = await startFaultProxy({ target: registry.host, rules });
  onTestFinished(() => proxy.close());
  return { machine, proxy, image, reference: `${proxy.host}/app:1` };
}

/** A pull that has some of its first layer, and will get no more than the stall lets through. */
async function startPull({ machine, reference, image }: Scene, ...flags: string[]): Promise<RunningProgram> {
  const program = machine.start(["pull", "--progress", "json", ...flags, reference]);
  onTestFinished(() => program[Symbol.asyncDispose]());
  const { digest } = image.layers[0]?.descriptor ?? expect.fail("no layer");
  await program.output(new RegExp(`"type":"progress","digest":"${digest}","done":[1-9]`));
  return program;
}

const layerRequests = ({ proxy, image }: Scene): string[] =>
  proxy.requests
    .filter(({ method, path }) => method === "GET" && BLOBS.test(path) && !path.includes(image.config.digest))
    .map(({ path }) => path);

describe("a pull that is killed outright", () => {
  it("is resumed by the next one, which fetches about what is missing", async () => {
    const scene = await stalling(await bulkImage(1, 6 * MIB), 5 * MIB);
    const { machine, proxy, image, reference } = scene;
    const program = await startPull(scene);
    // What was written is recorded a second after its first byte: seen in the plan of another process.
    let planned = (await machine.pull("--plan", reference)).layers[0];
    while (planned?.how !== "resumed") planned = (await machine.pull("--plan", reference)).layers[0];
    program.kill("SIGKILL");
    expect((await program.result).code).toBe(137);
    expect(await machine.images()).toEqual([]);
    expect(await storeFaults(machine.root)).toEqual([]);
    proxy.setRules([]);
    const plan = await machine.pull("--plan", reference);
    const before = proxy.bytesFor(BLOBS);
    const second = await machine.pull(reference);
    expect(second).toMatchObject({ status: "pulled", digest: image.digest });
    expect(second.layers[0]?.how).toBe("resumed");
    expect(second.resumedBytes).toBeGreaterThanOrEqual(MIB);
    expect(second.layers[0]?.bytes.network).toBe(layerBytes(image) - second.resumedBytes);
    // The config was stored when it came.
    expect(proxy.bytesFor(BLOBS) - before).toBe(layerBytes(image) - second.resumedBytes);
    expect(plan.bytes).toEqual(second.bytes);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("again and again comes to its end", async () => {
    const scene = await stalling(await bulkImage(2, 3 * MIB, 2 * MIB), MIB);
    const { machine, proxy, reference, image } = scene;
    for (const part of [1, 2]) {
      await using program = machine.start(["pull", "--progress", "json", reference]);
      await program.output(/"type":"progress"/);
      if (part === 2) await program.output(/"type":"layer-start"/);
      program.kill("SIGKILL");
      await program.result;
      expect(await storeFaults(machine.root)).toEqual([]);
    }
    proxy.setRules([]);
    expect(await machine.pull(reference)).toMatchObject({ status: "pulled", digest: image.digest });
    expect(await storeFaults(machine.root)).toEqual([]);
  });
});

describe("a pull that is stopped", () => {
  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "by %s exits with 130, keeps all that came, and goes on",
    async (signal) => {
      const scene = await stalling(await bulkImage(3, 3 * MIB), 2 * MIB);
      const { machine, proxy, reference, image } = scene;
      const program = await startPull(scene);
      program.kill(signal);
      const { code, stderr, stdout } = await program.result;
      expect(code).toBe(130);
      expect(stdout.toString()).toBe("");
      expect(stderr).toMatch(
        /\nvarve: INTERRUPTED: stopped; [\d.]+ [kM]B of 3\.15 MB are kept\nhint: go on with: varve pull [^\n]+\n$/,
      );
      expect(await storeFaults(machine.root)).toEqual([]);
      proxy.setRules([]);
      const again = await machine.pull(reference);
      expect(again).toMatchObject({ status: "pulled", layers: [{ how: "resumed" }] });
      expect(again.resumedBytes).toBeGreaterThan(0);
      expect(again.resumedBytes + (again.layers[0]?.bytes.network ?? 0)).toBe(layerBytes(image));
    },
  );

  it("tells so in JSON", async () => {
    const scene = await stalling(await bulkImage(4, 3 * MIB), 2 * MIB);
    const program = await startPull(scene, "--json");
    program.kill("SIGINT");
    const { code, stdout } = await program.result;
    expect(code).toBe(130);
    expect(JSON.parse(stdout.toString())).toMatchObject({ error: { code: "INTERRUPTED" } });
  });
});

describe("two processes that pull the same", () => {
  it("fetch each blob once, and both have the image", async () => {
    const scene = await stalling(await bulkImage(5, 2 * MIB, MIB), MIB / 2);
    const { machine, proxy, image, reference } = scene;
    await using first = machine.start(["pull", "--json", "--progress", "json", reference]);
    await first.output(/"type":"progress"/);
    await using second = machine.start(["pull", "--json", "--progress", "json", reference]);
    await second.output(/"type":"wait"/);
    proxy.setRules([]);
    // The first one's bodies have stalled: it is the one that breaks off, and asks for the rest.
    const before = layerRequests(scene).length;
    expect(before).toBe(2);
    first.kill("SIGKILL");
    await first.result;
    const { code, stdout } = await second.result;
    expect(code).toBe(0);
    expect(JSON.parse(stdout.toString())).toMatchObject({ status: "pulled", digest: image.digest });
    expect(layerRequests(scene).length).toBe(before + 2);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("started together, cost the registry one fetch of each blob", async () => {
    const machine = await newMachine();
    onTestFinished(() => machine[Symbol.asyncDispose]());
    await using registry = await startRegistry();
    const image = await bulkImage(6, 3 * MIB, MIB, MIB);
    await pushImage(registry.host, "app", "1", image);
    registry.clearRequests();
    const pull = ["pull", "--json", "--progress", "none", `${registry.host}/app:1`];
    const both = await Promise.all([1, 2, 3].map(() => machine.exec(pull)));
    expect(both.map(({ code }) => code)).toEqual([0, 0, 0]);
    const results = both.map(({ json }) => json as PullResult);
    expect(new Set(results.map(({ digest }) => digest))).toEqual(new Set([image.digest]));
    for (const { descriptor } of image.layers) {
      const fetched = registry.requests.filter(({ path }) => path.endsWith(descriptor.digest));
      expect(fetched).toHaveLength(1);
      const hows = results.map(({ layers }) => layers.find(({ digest }) => digest === descriptor.digest)?.how);
      expect(hows.filter((how) => how === "full")).toHaveLength(1);
      expect(hows.filter((how) => how === "present")).toHaveLength(2);
    }
    expect(await machine.images()).toHaveLength(1);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("do not wait for each other with --no-wait", async () => {
    const scene = await stalling(await bulkImage(7, 3 * MIB), 2 * MIB);
    const { machine, reference, proxy } = scene;
    await startPull(scene);
    const error = await machine.fails("pull", "--no-wait", reference);
    expect(error).toMatchObject({ code: "STORE_BUSY", exit: 6, hint: expect.stringContaining("--no-wait") });
    expect(await machine.images()).toEqual([]);
    // Another image is not held up.
    const other = await bulkImage(8, 1000);
    proxy.setRules([]);
    await pushImage(proxy.host, "other", "1", other);
    expect(await machine.pull("--no-wait", `${proxy.host}/other:1`)).toMatchObject({ status: "pulled" });
  });
});
