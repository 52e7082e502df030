/** Pushes over bad lines, and pushes that are stopped: what arrives is exactly the image, and trying again goes on. */
import { describe, expect, it, onTestFinished } from "vitest";
import type { PushResult } from "../../src/transfer/push.ts";
import type { FaultRule } from "../kit/faults/fault-script.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import type { KitImage } from "../kit/images/build-image.ts";
import { writeOciLayout } from "../kit/images/oci-layout.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import type { RegistryQuirks } from "../kit/registry/quirks.ts";
import { newMachine, type Machine } from "./machine.ts";
import { bulkImage } from "./samples.ts";

const MIB = 1 << 20;
const image = await bulkImage(21, 900_000, 400_000, 60_000);

interface Scene {
  readonly machine: Machine;
  readonly registry: KitRegistry;
  readonly proxy: FaultProxy;
  readonly source: string;
}

/** A registry behind a proxy that breaks things, and an image in a layout. */
async function behind(
  rules: readonly FaultRule[],
  pushed: KitImage = image,
  quirks: RegistryQuirks = {},
): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry({ quirks });
  onTestFinished(() => registry.close());
  const proxy = await startFaultProxy({ target: registry.host, rules });
  onTestFinished(() => proxy.close());
  await writeOciLayout(`${machine.path}/layout`, pushed, "v1");
  return { machine, registry, proxy, source: `oci:${machine.path}/layout:v1` };
}

async function expectWhole({ registry, proxy, machine }: Scene, wanted: KitImage = image): Promise<void> {
  await using reader = await newMachine();
  // The script is there to be shown when this fails.
  const { status, digest } = await reader.pull(`${registry.host}/app:v1`);
  expect({ status, digest, script: proxy.describe() }).toMatchObject({ status: "pulled", digest: wanted.digest });
  expect(machine).toBeDefined();
}

const push = async ({ machine, proxy, source }: Scene, ...flags: readonly string[]): Promise<PushResult> =>
  (await machine.ok("push", ...flags, source, `${proxy.host}/app:v1`)) as PushResult;

/** Cuts at random places of what is sent, in the first few requests of each kind. */
function randomCuts(seed: number): FaultRule[] {
  const rng = createRng(seed);
  return Array.from({ length: 4 }, (_, at) => ({
    method: ["PUT", "PATCH"],
    path: /\/blobs\/uploads\//,
    nth: 1 + at * 2 + rng.int(2),
    fault: rng.chance(0.25) ? { kind: "loseAnswer" } : { kind: "dropUpload", afterBytes: rng.int(900_000) },
  }));
}

describe("a push over a line that breaks", () => {
  it.each([1, 2, 3])("anywhere ends with the whole image (%i)", async (seed) => {
    const scene = await behind(randomCuts(seed));
    const result = await push(scene);
    expect(result.digest).toBe(image.digest);
    expect(scene.proxy.strikes.length).toBeGreaterThan(0);
    expect(result.retries).toBeGreaterThan(0);
    await expectWhole(scene);
  });

  it.each([4, 5])("between and within chunks ends with the whole image (%i)", async (seed) => {
    const scene = await behind(randomCuts(seed));
    const result = await push(scene, "--chunk-size", "200k");
    expect(result.digest).toBe(image.digest);
    await expectWhole(scene);
  });

  it.each(["honour", "ignore"] as const)(
    "goes on where it broke, reading its source from there where that can be (%s ranges)",
    async (ranges) => {
      const pushed = await bulkImage(23, 8 * MIB);
      await using machine = await newMachine();
      await using from = await startRegistry({ quirks: { ranges } });
      await using to = await startRegistry();
      await pushImage(from.host, "app", "v1", pushed);
      const rules = [{ method: "PATCH", nth: 7, fault: { kind: "dropUpload", afterBytes: 50_000 } }] as const;
      await using proxy = await startFaultProxy({ target: to.host, rules });
      from.clearRequests();
      const names = [`docker://${from.host}/app:v1`, `docker://${proxy.host}/app:v1`];
      const result = (await machine.ok("copy", "-j", "1", "--chunk-size", "1M", ...names)) as PushResult;
      expect(result).toMatchObject({ digest: pushed.digest, blobs: { copied: 2 } });
      expect(proxy.strikes).toHaveLength(1);
      const again = from.requests.find(({ headers }) => headers.range !== undefined);
      expect(again?.headers.range).toMatch(/^bytes=4194304-\d+$/);
      const size = result.bytes.copied + pushed.bytes.length;
      // Not all of it over again: what the registry had not got, and from the source what comes after the last note of the hash.
      expect(result.bytes.sent).toBeLessThan(size + 2 * MIB);
      if (ranges === "honour") expect(result.bytes.network).toBeLessThan(size + 4 * MIB);
      const { digest } = await machine.pull(`${to.host}/app:v1`);
      expect(digest).toBe(pushed.digest);
    },
  );

  it("survives refusals of every kind of request", async () => {
    const busy = { kind: "status", status: 503, retryAfter: 0 } as const;
    const methods = ["HEAD", "POST", "PUT"].map((method) => ({ method, nth: [1, 4], fault: busy }));
    const scene = await behind([
      ...methods,
      { method: "PUT", path: /\/manifests\//, nth: 1, fault: { kind: "loseAnswer" } },
    ]);
    expect((await push(scene)).digest).toBe(image.digest);
    await expectWhole(scene);
  });
});

describe("a push that is refused", () => {
  it("says so at once, and leaves no name", async () => {
    const denied = {
      kind: "status",
      status: 403,
      body: '{"errors":[{"code":"DENIED","message":"not yours"}]}',
    } as const;
    const { machine, proxy, source, registry } = await behind([{ method: "POST", fault: denied }]);
    const failure = await machine.fails("push", source, `${proxy.host}/app:v1`);
    expect(failure).toMatchObject({ code: "DENIED", exit: 4, message: expect.stringContaining("not yours") });
    expect((await fetch(`${registry.url}/v2/app/manifests/v1`)).status).toBe(404);
  });
});

describe("a push of which one blob fails", () => {
  it("does not go on with the others", async () => {
    const rules = [
      { method: ["PATCH", "PUT"], fault: { kind: "latency", ms: 3_600_000 } },
      { method: "POST", nth: 2, fault: { kind: "status", status: 403 } },
    ] as const;
    const { machine, proxy, source } = await behind(rules);
    expect(await machine.fails("push", "-j", "2", source, `${proxy.host}/app:v1`)).toMatchObject({ code: "DENIED" });
  });
});

describe("a push that is stopped", () => {
  it.each(["SIGINT", "SIGTERM"] as const)("by %s says what is there, and trying again goes on", async (signal) => {
    const pushed = await bulkImage(22, 300_000, 3 * MIB);
    const small = pushed.layers[0]?.descriptor.digest ?? expect.fail("no layer");
    const large = pushed.layers[1]?.descriptor.digest ?? expect.fail("no layer");
    // The large one's first chunk is taken and never answered.
    const rules = [{ method: "PATCH", nth: { from: 3 }, fault: { kind: "latency", ms: 3_600_000 } }] as const;
    const scene = await behind(rules, pushed);
    const { machine, proxy, source, registry } = scene;
    const args = ["push", "-j", "1", "--chunk-size", "200k", "--progress", "json", source, `${proxy.host}/app:v1`];
    await using program = machine.start(args);
    await program.output(new RegExp(`"type":"layer-done","digest":"${small}"`));
    await program.output(new RegExp(`"type":"layer-start","digest":"${large}"`));
    program.kill(signal);
    const { code, stdout, stderr } = await program.result;
    expect(code).toBe(130);
    expect(stdout.toString()).toBe("");
    expect(stderr).toMatch(
      /\nvarve: INTERRUPTED: stopped; 1 of 3 blobs is there\nhint: go on with: varve push [^\n]+\n$/,
    );
    expect((await fetch(`${registry.url}/v2/app/manifests/v1`)).status).toBe(404);
    proxy.setRules([]);
    const again = await push(scene);
    expect(again).toMatchObject({ digest: pushed.digest, blobs: { copied: 2, mounted: 0, present: 1 } });
    await expectWhole(scene, pushed);
  });
});
