/** Plain pulls by way of images that nobody has: deltas from what is held to them, and from them to what is wanted. */
import { describe, expect, it } from "vitest";
import { publishDeltas } from "../../src/transfer/deltas/publish/publish.ts";
import type { PublishedDelta } from "../../src/transfer/deltas/publish/types.ts";
import { nameInIndex } from "../../src/transfer/deltas/publish/update-index.ts";
import { writeDeltaManifest } from "../../src/transfer/deltas/publish/write-manifest.ts";
import { pull, type PullOptions } from "../../src/transfer/pull.ts";
import type { LayerResult, PullResult } from "../../src/transfer/pull-result.ts";
import { openSnapshots } from "../../src/transfer/snapshotter.ts";
import { at, describeBlob, opening, testClient } from "../kit/http/test-client.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { layerDelta } from "../kit/images/layer-delta.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { transferContext, type TestContext } from "../kit/store/transfer-context.ts";
import { file } from "../kit/trees/tree-node.ts";

const [DRIVER] = await usableDrivers();
const rng = createRng(11);
const PARTS = [rng.bytes(120_000), rng.bytes(90_000)];
const SAME = rng.bytes(30_000);
const NEWS = Array.from({ length: 6 }, () => rng.bytes(700));

/** Three layers: one that stays, and two with something new in each version. */
function imageOf(version: number): Promise<KitImage> {
  const changed = PARTS.map((bytes, at) => {
    return [file(`f${at}`, Buffer.concat([bytes.subarray(0, 50_000), NEWS[version]!, bytes.subarray(50_000)]))];
  });
  return buildImage({ layers: [[file("same", SAME)], ...changed] });
}

const versions = await Promise.all([1, 2, 3, 4, 5].map(imageOf));
const of = (version: number): KitImage => versions[version - 1]!;

interface Machine {
  readonly context: TestContext;
  pull(version: number | "mixed", options?: PullOptions): Promise<PullResult>;
}

/** A registry with all versions, and a machine that holds the first. */
async function prepared(registry: KitRegistry): Promise<Machine> {
  const { host } = registry;
  for (const [index, image] of versions.entries()) await pushImage(host, "team/app", `v${index + 1}`, image);
  const context = await transferContext();
  const snapshots = await openSnapshots(context.store, DRIVER!, { sync: false });
  const snapshotter = { choice: DRIVER!, open: () => Promise.resolve({ snapshots }) };
  const machine: Machine = {
    context,
    pull: (version, options) =>
      pull({ ...context, snapshotter }, `${host}/team/app:${version === "mixed" ? version : `v${version}`}`, options),
  };
  await machine.pull(1);
  return machine;
}

async function publish(host: string, from: number, to: number, deltas: readonly PublishedDelta[]): Promise<void> {
  await using registry = testClient();
  const { signal } = new AbortController();
  const base = of(from).layers.map(({ diffId }) => diffId);
  const published = { target: of(to).descriptor, base, deltas };
  await publishDeltas({ registry, signal, onProgress: () => {} }, at(host), published);
}

/** Deltas of the layers that change. */
function deltasOf(how: PublishedDelta["how"], from: number, to: number): Promise<PublishedDelta[]> {
  const [base, target] = [of(from).layers, of(to).layers];
  const makes = [1, 2].map((index) => layerDelta(how, how === "tar-diff" ? [base[index]!] : base, target[index]!));
  return Promise.all(makes);
}

const sizeOf = (deltas: readonly PublishedDelta[]): number => deltas.reduce((sum, { blob }) => sum + blob.size, 0);
const hows = ({ layers }: PullResult): LayerResult["how"][] => layers.map(({ how }) => how);

describe.each(["librsync-delta", "tar-diff"] as const)("a chain of %s", (how) => {
  it.each([3, 4])("of deltas from each version to the next leads from the first to %s", async (wanted) => {
    await using registry = await startRegistry();
    const machine = await prepared(registry);
    let bytes = 0;
    for (let version = 1; version < wanted; version++) {
      const deltas = await deltasOf(how, version, version + 1);
      bytes += sizeOf(deltas);
      await publish(registry.host, version, version + 1, deltas);
    }
    const plan = await machine.pull(wanted, { plan: true });
    expect(hows(plan)).toEqual(["present", how, how]);
    expect(plan.layers[1]!.why).toMatch(/made by (another delta|other deltas)/);
    registry.clearRequests();
    const result = await machine.pull(wanted);
    expect(hows(result)).toEqual(["present", how, how]);
    expect(result.layers.flatMap(({ fallbacks }) => fallbacks)).toEqual([]);
    expect(result.imageId).toBe(of(wanted).config.digest);
    // Each delta once, and all of them counted.
    const blobs = registry.requests.filter(({ path }) => path.includes("/blobs/"));
    expect(blobs.filter(({ path }) => !path.includes(of(wanted).config.digest)).length).toBe(2 * (wanted - 1));
    expect(result.bytes.network).toBeGreaterThan(bytes);
    expect(result.bytes.network).toBeLessThan(bytes + 20_000);
    expect(await machine.pull(wanted)).toMatchObject({ status: "up-to-date" });
  });
});

it("a chain that is too long is no way", async () => {
  await using registry = await startRegistry();
  const machine = await prepared(registry);
  for (let version = 1; version < 5; version++) {
    await publish(registry.host, version, version + 1, await deltasOf("librsync-delta", version, version + 1));
  }
  expect(hows(await machine.pull(5))).toEqual(["present", "full", "full"]);
});

it("a chain of which a delta makes something else is left, and what is pulled comes as it is", async () => {
  await using registry = await startRegistry();
  const machine = await prepared(registry);
  const [wrong, other] = [of(1).layers[1]!, of(2).layers[1]!];
  const { delta } = await layerDelta("librsync-delta", of(1).layers, wrong);
  const [, second] = await deltasOf("librsync-delta", 1, 2);
  await publish(registry.host, 1, 2, [await layerDelta("librsync-delta", of(1).layers, other, { delta }), second!]);
  await publish(registry.host, 2, 3, await deltasOf("librsync-delta", 2, 3));
  const result = await machine.pull(3);
  expect(hows(result)).toEqual(["present", "full", "full"]);
  for (const { fallbacks } of result.layers.slice(1)) {
    expect(fallbacks).toEqual([
      { from: "librsync-delta", reason: expect.stringMatching(/DIFFID_MISMATCH.*on the way/) },
    ]);
  }
  expect(result.imageId).toBe(of(3).config.digest);
});

it("a layer that is wanted itself, and that others are made from, is made once for each, and nobody waits for ever", async () => {
  await using registry = await startRegistry();
  const machine = await prepared(registry);
  // One layer as in the second version, and two that are made from that.
  const [same, lower, upper] = of(2).layers;
  const image = await buildImage({ layers: [same!, lower!, ...of(3).layers.slice(1)] });
  await pushImage(registry.host, "team/app", "mixed", image);
  const fromFirst = await layerDelta("librsync-delta", of(1).layers, lower!);
  const toUpper = await layerDelta("librsync-delta", of(1).layers, upper!);
  const fromSecond = [2, 3].map((index) => layerDelta("librsync-delta", of(2).layers, image.layers[index]!));
  const publishFor = async (target: KitImage, from: number, deltas: readonly PublishedDelta[]): Promise<void> => {
    await using client = testClient();
    const base = of(from).layers.map(({ diffId }) => diffId);
    const context = { registry: client, signal: new AbortController().signal, onProgress: () => {} };
    await publishDeltas(context, at(registry.host), { target: target.descriptor, base, deltas });
  };
  await publishFor(of(2), 1, [fromFirst, toUpper]);
  await publishFor(image, 1, [fromFirst]);
  await publishFor(image, 2, await Promise.all(fromSecond));
  const result = await machine.pull("mixed");
  expect(hows(result)).toEqual(["present", "librsync-delta", "librsync-delta", "librsync-delta"]);
  expect(result.layers.flatMap(({ fallbacks }) => fallbacks)).toEqual([]);
  expect(result.imageId).toBe(image.config.digest);
});

it("a layer that the version between has too is made by its delta", async () => {
  await using registry = await startRegistry();
  const machine = await prepared(registry);
  const [same, lower] = of(2).layers;
  const image = await buildImage({ layers: [same!, lower!, of(3).layers[2]!] });
  await pushImage(registry.host, "team/app", "mixed", image);
  await publish(registry.host, 1, 2, await deltasOf("librsync-delta", 1, 2));
  await using client = testClient();
  const base = of(2).layers.map(({ diffId }) => diffId);
  const deltas = [await layerDelta("librsync-delta", of(2).layers, image.layers[2]!)];
  const context = { registry: client, signal: new AbortController().signal, onProgress: () => {} };
  await publishDeltas(context, at(registry.host), { target: image.descriptor, base, deltas });
  const result = await machine.pull("mixed");
  expect(hows(result)).toEqual(["present", "librsync-delta", "librsync-delta"]);
  expect(result.imageId).toBe(image.config.digest);
});

it("a delta that has the name of what it waits for is none", async () => {
  await using registry = await startRegistry();
  const machine = await prepared(registry);
  const target = of(3);
  const [, lower, upper] = of(2).layers;
  const toTarget = await deltasOf("librsync-delta", 2, 3);
  await publish(registry.host, 2, 3, toTarget);
  // What makes the layers between is called like a layer of the image, or like what it is needed for.
  const [{ descriptor }, { tar }] = [target.layers[1]!, target.layers[2]!] as const;
  const names = [descriptor, describeBlob(tar), toTarget[0]!.blob];
  await using client = testClient();
  const sink = client.uploads(at(registry.host));
  await sink.putBlob(describeBlob(tar), opening(tar));
  for (const blob of names) {
    const lying = [lower!, upper!].map(async (layer) => {
      return Object.assign(await layerDelta("librsync-delta", of(1).layers, layer), { blob });
    });
    const base = of(1).layers.map(({ diffId }) => diffId);
    const manifest = writeDeltaManifest(of(2).descriptor, base, await Promise.all(lying));
    await sink.putManifest(manifest, manifest.digest);
    const { signal } = new AbortController();
    const options = { signal, onEvent: undefined, registry: client, reference: at(registry.host) };
    await nameInIndex(sink, manifest, { ...options, target: of(2).digest });
  }
  const result = await machine.pull(3);
  expect(hows(result)).toEqual(["present", "full", "full"]);
  expect(result.layers.flatMap(({ fallbacks }) => fallbacks)).toEqual([]);
});

it("asks for no more where no delta could lead there", async () => {
  await using registry = await startRegistry();
  const machine = await prepared(registry);
  registry.clearRequests();
  expect(hows(await machine.pull(3))).toEqual(["present", "full", "full"]);
  expect(registry.requests.filter(({ path }) => path.endsWith("/_deltaindex")).length).toBeLessThanOrEqual(1);
});
