/** Delta pulls that are killed or cut off: what came of the delta stays, and the next process goes on with it. */
import { expect, it, onTestFinished } from "vitest";
import { startFaultProxy } from "../kit/faults/fault-proxy.ts";
import { buildDeltaImage } from "../kit/images/delta-image.ts";
import { buildImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine } from "./machine.ts";
import { storeFaults } from "./store-health.ts";

const MIB = 1 << 20;
const rng = createRng(31);
const OLD = rng.bytes(2 * MIB);
const NEW = rng.bytes(6 * MIB);
const [base, target] = await Promise.all([
  buildImage({ layers: [[file("old", OLD)]] }),
  buildImage({ layers: [[file("new", NEW), file("old", OLD), file("end", "of it")]] }),
]);

it.each([true, false])("a delta pull that is killed is gone on with, sizes known: %s", async (annotated) => {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const delta = await buildDeltaImage(base, target, { annotated });
  await pushImage(registry.host, "app", "base", base);
  await pushImage(registry.host, "app", "delta", delta);
  const path = new RegExp(delta.layers[0]?.descriptor.digest ?? "none");
  const slow = { kind: "slow", bytesPerSecond: 8_000_000 } as const;
  const rules = [{ path, fault: [slow, { kind: "stall", afterBytes: 5 * MIB } as const] }];
  const proxy = await startFaultProxy({ target: registry.host, rules });
  onTestFinished(() => proxy.close());
  const name = `${proxy.host}/app:delta`;
  await machine.pull(`${proxy.host}/app:base`);
  const left = async (): Promise<number> => (await machine.pull("--plan", name)).layers[0]?.bytes.network ?? 0;
  const whole = await left();
  const program = machine.start(["pull", name]);
  onTestFinished(() => program[Symbol.asyncDispose]());
  await expect.poll(left, { timeout: 20_000 }).toBeLessThan(whole - 3 * MIB);
  program.kill("SIGKILL");
  expect((await program.result).code).toBe(137);
  expect(await storeFaults(machine.root)).toEqual([]);
  proxy.setRules([]);
  const missing = await left();
  const result = await machine.pull(name);
  expect(result).toMatchObject({ status: "pulled", imageId: target.config.digest });
  const [layer] = result.layers;
  expect(layer).toMatchObject({ how: "librsync-delta", unpack: "unpacked" });
  // Documents come besides, and what sizes are found out with has come before the layer.
  expect(result.bytes.network).toBeGreaterThanOrEqual(missing);
  expect(result.bytes.network).toBeLessThan(missing + 100_000);
  expect(await storeFaults(machine.root)).toEqual([]);
  expect(await machine.pull(name)).toMatchObject({ status: "up-to-date" });
});
