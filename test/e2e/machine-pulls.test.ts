/** Machines' images pulled by real processes: killed in the midst of a chunk, several at once, and with gc beside. */
import { readFile } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { readDiskImage } from "../../src/codec/tart/read-disk-image.ts";
import type { Descriptor } from "../../src/oci/descriptor.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { pushMachine } from "../kit/disk/machine-bench.ts";
import { tartImage, type TartImage } from "../kit/disk/tart-image.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import { findPeer } from "../kit/peers.ts";
import { startDockerRegistry } from "../kit/peers/docker-registry.ts";
import { noise } from "../kit/recipe/random-recipe.ts";
import { startRegistry } from "../kit/registry/registry.ts";
import { newMachine, type Machine } from "./machine.ts";

const MIB = 1 << 20;
const random = (seed: string, bytes: number): Buffer => Buffer.from(noise(bytes, seed));
const imageOf = (...chunks: readonly Buffer[]): TartImage =>
  tartImage(Buffer.concat(chunks), { chunkSizes: chunks.map(({ length }) => length) });

function chunkBlobs({ manifest }: TartImage): Descriptor[] {
  const [disk] = readDiskImage(manifest)!.disks;
  return disk?.kind === "chunks" ? disk.chunks.map(({ blob }) => blob) : [];
}

const pathOf = (...blobs: readonly Descriptor[]): RegExp => new RegExp(blobs.map(({ digest }) => digest).join("|"));

interface Scene {
  readonly machine: Machine;
  readonly proxy: FaultProxy;
  readonly reference: string;
}

async function scene(image: TartImage): Promise<Scene> {
  const machine = await newMachine();
  onTestFinished(() => machine[Symbol.asyncDispose]());
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  await pushMachine(registry.host, "vm", "1", image);
  const proxy = await startFaultProxy({ target: registry.host });
  onTestFinished(() => proxy.close());
  return { machine, proxy, reference: `${proxy.host}/vm:1` };
}

async function expectDisk({ disks }: PullResult, { disk }: TartImage): Promise<void> {
  expect((await readFile(disks![0]!.path!)).equals(disk)).toBe(true);
}

describe("a pull of a disk that is killed in the midst of a chunk", () => {
  it("goes on there, and fetches just what its plan says", async () => {
    const image = imageOf(random("a", 24 * MIB), random("b", MIB));
    const [first] = chunkBlobs(image);
    const { machine, proxy, reference } = await scene(image);
    proxy.setRules([{ path: pathOf(first!), fault: { kind: "stall", afterBytes: 20 * MIB } }]);
    await using program = machine.start(["pull", "--progress", "json", reference]);
    // What was written is recorded a second after its first byte: seen in the plan of another process.
    const planned = async (): Promise<number> => {
      const { layers } = await machine.pull("--plan", reference);
      return layers.find(({ digest }) => digest === first!.digest)!.bytes.network;
    };
    await expect.poll(planned, { timeout: 30_000, interval: 200 }).toBeLessThan(first!.size - 8 * MIB);
    program.kill("SIGKILL");
    expect((await program.result).code).toBe(137);
    expect(await machine.images()).toEqual([]);
    proxy.setRules([]);
    const plan = await machine.pull("--plan", reference);
    const before = proxy.bytesFor(pathOf(first!));
    const result = await machine.pull(reference);
    await expectDisk(result, image);
    expect(result.bytes).toEqual(plan.bytes);
    const fetched = proxy.bytesFor(pathOf(first!)) - before;
    expect(fetched).toBe(result.layers.find(({ digest }) => digest === first!.digest)!.bytes.network);
    expect(fetched).toBeLessThan(first!.size - 8 * MIB);
    expect(result.resumedBytes).toBeGreaterThanOrEqual(9 * MIB);
  });
});

describe("several processes that pull the same disk", () => {
  it("cost the registry one fetch of each chunk, with gc beside them", async () => {
    const image = imageOf(random("a", 2 * MIB), random("b", 2 * MIB), random("c", MIB));
    const { machine, proxy, reference } = await scene(image);
    proxy.setRules([{ path: pathOf(...chunkBlobs(image)), fault: { kind: "slow", bytesPerSecond: 3 * MIB } }]);
    const pull = ["pull", "--json", "--progress", "none", reference];
    const collect = ["gc", "--partials-older-than", "0", "--json"];
    const all = await Promise.all([pull, pull, collect, collect].map((args) => machine.exec(args)));
    for (const { code, stderr } of all) expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    for (const { json } of all.slice(0, 2)) await expectDisk(json as PullResult, image);
    for (const blob of chunkBlobs(image)) {
      expect(proxy.requests.filter(({ path }) => path.endsWith(blob.digest))).toHaveLength(1);
    }
    expect(await machine.images()).toHaveLength(1);
    await machine.ok("gc", "--partials-older-than", "0");
    expect(await machine.pull(reference)).toMatchObject({ status: "up-to-date", requests: 1 });
  });
});

describe.skipIf(findPeer("docker-registry") === undefined)("a machine in docker-registry", () => {
  it("is pulled, and its next version for what changed", async () => {
    const before = imageOf(random("a", MIB), Buffer.alloc(MIB), random("b", MIB));
    const after = imageOf(random("a", MIB), random("changed", MIB), random("b", MIB));
    await using machine = await newMachine();
    await using registry = await startDockerRegistry();
    await pushMachine(registry.host, "vm", "1", before);
    await pushMachine(registry.host, "vm", "2", after);
    await expectDisk(await machine.pull(`${registry.host}/vm:1`), before);
    const result = await machine.pull(`${registry.host}/vm:2`);
    await expectDisk(result, after);
    const changed = chunkBlobs(after)[1]!;
    const fetched = result.layers.filter(({ bytes }) => bytes.network > 0).map(({ digest }) => digest);
    expect(fetched).toEqual([changed.digest]);
    expect(result.bytes.local).toBe(2 * MIB);
  });
});
