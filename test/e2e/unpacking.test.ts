/** Images that a pull unpacks as they come: what is mounted then is what the layers say, whatever is in the way. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openVarve, type SnapshotterChoice } from "../../src/index.ts";
import { chainIds } from "../../src/oci/chain-id.ts";
import type { Digest } from "../../src/oci/digest.ts";
import { snapshotFaults, treeOf } from "../faults/lib/snapshot-faults.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { findPeer } from "../kit/peers.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { randomLayers } from "../kit/trees/random-layers.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import { file, type TreeNode } from "../kit/trees/tree-node.ts";
import { arrivedBytes } from "./arrived.ts";
import { newMachine, type Machine } from "./machine.ts";
import { overlappingImages, sampleImage, sampleLayers } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const DRIVERS = await usableDrivers();
const isRoot = process.getuid?.() === 0;

let registry: KitRegistry;
beforeAll(async () => {
  registry = await startRegistry();
});
afterAll(() => registry.close());

async function push(tag: string, image: KitImage): Promise<string> {
  await pushImage(registry.host, "app", tag, image);
  registry.clearRequests();
  return `${registry.host}/app:${tag}`;
}

async function machine(): Promise<Machine> {
  const made = await newMachine();
  onTestFinished(() => made[Symbol.asyncDispose]());
  return made;
}

const topOf = (image: KitImage): Digest => chainIds(image.layers.map(({ diffId }) => diffId)).at(-1)!;

/** In what the image differs as it is mounted from what its layers say; and what else is wrong with what is committed. */
async function differences({ root }: Machine, image: KitImage, layers: readonly TreeNode[][]): Promise<string[]> {
  await using varve = await openVarve({ root, threads: 0, store: { readOnly: true } });
  const { store } = varve;
  const found: string[] = await snapshotFaults(store);
  for await (const entry of store.snapshots.walk([{ name: topOf(image) }])) {
    const differs = diffTrees(await treeOf(store, entry), expectedTree(layers), { root: false, directoryTimes: false });
    found.push(...differs, entry.driver);
  }
  return found;
}

function blobsAskedFor(): string[] {
  return registry.requests.flatMap(({ method, path }) =>
    method === "GET" && path.includes("/blobs/") ? [path.slice(path.lastIndexOf("/") + 1)] : [],
  );
}

describe.skipIf(!isRoot).each(DRIVERS)("pulled into %s", (driver) => {
  it("random stacks of layers are what one layer after the other makes of them, however many are unpacked at once", async () => {
    for (let seed = 1; seed <= 2; seed++) {
      const layers = randomLayers(createRng(seed * 31), { layers: 6 });
      const image = await buildImage({ layers, compression: (["gzip", "zstd", "none"] as const)[seed % 3]! });
      const reference = await push(`random${seed}`, image);
      for (const jobs of ["1", "4"]) {
        const one = await machine();
        const pulled = await one.pull("--snapshotter", driver, "--unpack-jobs", jobs, "-j", "8", reference);
        expect(pulled).toMatchObject({ status: "pulled", snapshotter: driver });
        expect(await differences(one, image, layers)).toEqual([driver]);
        expect(await storeFaults(one.root)).toEqual([]);
      }
    }
  });

  it("an image that was stopped is gone on with, and what was unpacked of it is kept", async () => {
    const rng = createRng(5);
    const layers = [1, 2, 3].map((number) => [file(`data${number}`, rng.bytes(1_500_000))]);
    const image = await buildImage({ layers, compression: "none" });
    const reference = await push("stopped", image);
    const one = await machine();
    const flags = ["--snapshotter", driver, "-j", "1", "--limit-rate", "2M", "--progress", "json"];
    await using slow = one.start(["pull", ...flags, reference]);
    while (arrivedBytes(slow.said()) < 2_500_000) await Promise.race([sleep(20), slow.result]);
    slow.kill("SIGINT");
    expect((await slow.result).code).toBe(130);
    expect(await differences(one, image, layers)).toEqual([]);
    const again = await one.pull("--snapshotter", driver, reference);
    const whole = again.layers.filter(({ how }) => how === "present").reduce((sum, { size }) => sum + size, 0);
    expect(again.resumedBytes + whole).toBeGreaterThan(1_000_000);
    expect(await differences(one, image, layers)).toEqual([driver]);
    await one.ok("gc", "--partials-older-than", "0");
    expect(await one.ok("fsck")).toMatchObject({ sound: true, findings: [] });
  });

  it("two images fetch and unpack what they share once, and removing one leaves the other whole", async () => {
    const [first, second] = await overlappingImages(7, 50_000);
    const one = await machine();
    const both = [await push("first", first), await push("second", second)];
    await one.pull("--snapshotter", driver, both[0]!);
    registry.clearRequests();
    const pulled = await one.pull("--snapshotter", driver, both[1]!);
    expect(pulled.layers.map(({ how, unpack }) => `${how} ${unpack}`)).toEqual([
      "present present",
      "present present",
      "full unpacked",
    ]);
    expect(blobsAskedFor().toSorted()).toEqual([second.config.digest, second.layers[2]!.descriptor.digest].toSorted());
    const removed = (await one.ok("rm", both[0]!)) as { snapshots: number; freedBytes: number };
    expect(removed.snapshots).toBe(1);
    expect(removed.freedBytes).toBeGreaterThan(first.layers[2]!.bytes.length * 2);
    expect(await one.ok("fsck")).toMatchObject({ sound: true, findings: [] });
    expect(await one.ok("gc")).toMatchObject({ freedBytes: 0 });
    await one.ok("rm", both[1]!);
    expect(await one.ok("snapshots", "ls")).toEqual([]);
    const left = (await readdir(join(one.root, "snapshots"))).filter((name) => /^\d+$/.test(name));
    expect(left).toEqual([]);
  });

  it("without its blobs an image is up to date, and whole when it is copied or unpacked", async () => {
    const layers = sampleLayers(11);
    const image = await sampleImage(11);
    const reference = await push("discarded", image);
    const one = await machine();
    const discarded = await one.pull("--snapshotter", driver, "--discard-blobs", reference);
    expect(discarded).toMatchObject({ status: "pulled" });
    for (const { descriptor } of image.layers) {
      expect(existsSync(join(one.root, "blobs", descriptor.digest.replace(":", "/")))).toBe(false);
    }
    registry.clearRequests();
    expect(await one.pull("--snapshotter", driver, reference)).toMatchObject({ status: "up-to-date", requests: 1 });
    expect(await one.ok("gc")).toMatchObject({ records: 0 });
    expect(await differences(one, image, layers)).toEqual([driver]);
    registry.clearRequests();
    const tree = join(one.path, "tree");
    await one.ok("unpack", reference, tree);
    expect(diffTrees(await readTree(tree), expectedTree(layers), { root: false, directoryTimes: false })).toEqual([]);
    const digests = image.layers.map(({ descriptor }) => descriptor.digest);
    // A tar that is here needs not be fetched.
    expect(blobsAskedFor().toSorted()).toEqual(driver === "erofs" ? [] : digests.toSorted());
    registry.clearRequests();
    await one.ok("copy", reference, `oci:${join(one.path, "layout")}`);
    expect(blobsAskedFor().toSorted()).toEqual(digests.toSorted());
    expect(await storeFaults(join(one.path, "layout"))).toEqual([]);
    await one.ok("rm", reference);
    expect(await one.ok("gc")).toMatchObject({ freedBytes: 0, records: 0 });
  });

  it.skipIf(findPeer("pigz") === undefined)("large layers may be inflated by another program", async () => {
    const layers = [[file("large", createRng(13).bytes(17_000_000))]];
    const image = await buildImage({ layers, compression: "gzip" });
    const reference = await push("large", image);
    const one = await machine();
    await one.pull("--snapshotter", driver, "--decompressor", "pigz", reference);
    expect(await differences(one, image, layers)).toEqual([driver]);
  });
});

it("a driver that does not work here is refused before anything moves", async () => {
  const reference = await push("refused", await sampleImage(12));
  const one = await machine();
  const missing = (["erofs", "overlay"] as const).find((name) => !DRIVERS.includes(name)) as SnapshotterChoice;
  if (missing === undefined) return;
  expect(await one.fails("pull", "--snapshotter", missing, reference)).toMatchObject({ code: "DRIVER_UNAVAILABLE" });
});
