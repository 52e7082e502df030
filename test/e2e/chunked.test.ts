/** Images of zstd:chunked and eStargz layers: a re-pushed tag costs what changed, as planned, whatever happens meanwhile. */
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { openVarve } from "../../src/index.ts";
import { chainIds } from "../../src/oci/chain-id.ts";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { snapshotFaults, treeOf } from "../faults/lib/snapshot-faults.ts";
import { startFaultProxy, type FaultProxy } from "../kit/faults/fault-proxy.ts";
import { buildImage, type KitImage } from "../kit/images/build-image.ts";
import { buildLayer, layerOf, type KitLayer } from "../kit/images/build-layer.ts";
import { chunkedLayer } from "../kit/images/chunked-layer.ts";
import { estargzLayer, type EstargzOptions } from "../kit/images/estargz.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { directory, file, hardlink, symlink, type TreeNode } from "../kit/trees/tree-node.ts";
import { newMachine, type Machine } from "./machine.ts";
import { storeFaults } from "./store-health.ts";

const DRIVERS = await usableDrivers();
const rng = createRng(21);
const FILES = Array.from({ length: 30 }, (_, at) => rng.bytes(10_000 + at * 2000));
const LARGE = rng.text(1_500_000);
const NEW = rng.bytes(50_000);
/** Enough that it pays to have it here, however slow this machine is at the moment. */
const KEPT = rng.bytes(4_000_000);

/** An application of many files, of which a later version has one changed, one renamed, one that is new, and one line more in a large one. */
function version(number: 1 | 2): TreeNode[] {
  const isNew = number === 2;
  const large = Buffer.concat([
    LARGE.subarray(0, 700_000),
    Buffer.from(isNew ? "one line more\n" : ""),
    LARGE.subarray(700_000),
  ]);
  return [
    directory("app"),
    ...FILES.map((bytes, at) =>
      file(isNew && at === 3 ? "app/renamed" : `app/f${at}`, isNew && at === 5 ? bytes.subarray(9) : bytes),
    ),
    file("app/large", large),
    file("app/kept", KEPT),
    file("app/zeros", new Uint8Array(300_000)),
    symlink("app/link", "large"),
    hardlink("app/same", "app/large"),
    ...(isNew ? [file("app/new", NEW)] : []),
  ];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

let registry: KitRegistry;
let proxy: FaultProxy;
let layers: { readonly 1: KitLayer; readonly 2: KitLayer };
beforeAll(async () => {
  registry = await startRegistry();
  proxy = await startFaultProxy({ target: registry.host });
  layers = { 1: await chunkedLayer(version(1)), 2: await chunkedLayer(version(2)) };
});
afterAll(async () => {
  await proxy.close();
  await registry.close();
});

/** @returns its name behind the proxy */
async function push(repository: string, tag: string, image: KitImage): Promise<string> {
  await pushImage(registry.host, repository, tag, image);
  return `${proxy.host}/${repository}:${tag}`;
}

async function machine(driver: string): Promise<Machine> {
  const made = await newMachine({ VARVE_SNAPSHOTTER: driver });
  onTestFinished(() => made[Symbol.asyncDispose]());
  onTestFinished(() => proxy.setRules([]));
  return made;
}

/** What is wrong with the store and with the image in it, which has just these nodes. */
async function faults({ root }: Machine, image: KitImage, nodes: readonly TreeNode[]): Promise<string[]> {
  // Blobs of layers that were made of pieces are not here, on purpose.
  const givenUp = new Set(image.layers.map(({ descriptor }) => `${descriptor.digest} is missing`));
  const found = (await storeFaults(root)).filter((fault) => !givenUp.has(fault));
  await using varve = await openVarve({ root, threads: 0, store: { readOnly: true } });
  const top = chainIds(image.layers.map(({ diffId }) => diffId)).at(-1)!;
  found.push(...(await snapshotFaults(varve.store)));
  for await (const entry of varve.store.snapshots.walk([{ name: top }])) {
    const tree = await treeOf(varve.store, entry);
    found.push(...diffTrees(tree, expectedTree([nodes]), { root: false, directoryTimes: false }));
  }
  return [...found, ...(await readdir(join(root, "ingest")))];
}

const bytesOf = ({ layers: [layer] }: PullResult): number => layer!.bytes.network;

describe.each(DRIVERS)("a re-pushed tag, unpacked by %s", (driver) => {
  it("costs what changed, as planned; then nothing, under whatever name", async () => {
    const here = await machine(driver);
    const [first, second] = await Promise.all([1, 2].map((at) => buildImage({ layers: [layers[at as 1 | 2]] })));
    await here.pull(await push(driver, "1", first!));
    const name = await push(driver, "1", second!);
    const plan = await here.pull("--plan", name);
    const asked = proxy.requests.length;
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how: "zstd-chunked", unpack: "unpacked", fallbacks: [] }]);
    expect(bytesOf(result)).toBeLessThan(NEW.length + FILES[5]!.length + 200_000);
    // What is planned is what is moved, and that is what came over the wire.
    expect(result.bytes).toEqual(plan.bytes);
    expect(sum(proxy.requests.slice(asked).map((request) => request.sent))).toBe(result.bytes.network);
    expect(await faults(here, second!, version(2))).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date", requests: 1 });
    const renamed = await here.pull(await push(`other-${driver}`, "x", second!));
    expect(renamed).toMatchObject({ status: "pulled", layers: [{ how: "present", unpack: "present" }] });
    // Another tool's compression of the same content, in another image.
    const zipped = await buildImage({ layers: [await buildLayer(layers[2].tar, { compression: "gzip" })] });
    const again = await here.pull(await push(`zipped-${driver}`, "x", zipped));
    expect(again.layers).toMatchObject([{ how: "present", bytes: { network: 0 } }]);
  });

  it("costs what changed also where the older version came as gzip", async () => {
    const here = await machine(driver);
    const old = await buildImage({ layers: [await buildLayer(version(1), { compression: "gzip" })] });
    await here.pull(await push(driver, "g", old));
    const second = await buildImage({ layers: [layers[2]] });
    const result = await here.pull(await push(driver, "g", second));
    expect(result.layers).toMatchObject([{ how: "zstd-chunked" }]);
    expect(bytesOf(result)).toBeLessThan(NEW.length + FILES[5]!.length + 200_000);
    expect(await faults(here, second, version(2))).toEqual([]);
  });

  it("goes on where a killed pull stopped, which gc does not touch", async () => {
    const here = await machine(driver);
    const more = Array.from({ length: 30 }, (_, at) => file(`app/more${at}`, rng.bytes(100_000)));
    const layer = await chunkedLayer([...version(2), ...more]);
    await here.pull(await push(driver, "k", await buildImage({ layers: [layers[1]] })));
    const image = await buildImage({ layers: [layer] });
    const name = await push(driver, "k", image);
    const path = new RegExp(layer.descriptor.digest);
    const slow = { kind: "slow", bytesPerSecond: 1_500_000 } as const;
    // The table of contents comes, and of the rest a part.
    proxy.setRules([{ path, nth: { from: 2 }, fault: [slow, { kind: "stall", afterBytes: 1_500_000 }] }]);
    await using program = here.start(["pull", "--progress", "json", name]);
    await program.output(/"type":"progress"[^\n]*"network":[1-9]\d{5}/);
    // What was written is recorded a second after its first byte: seen in the plan of another process.
    proxy.setRules([]);
    let plan = await here.pull("--plan", name);
    while (!plan.layers[0]!.why!.includes("earlier try")) plan = await here.pull("--plan", name);
    program.kill("SIGKILL");
    await program.result;
    await here.ok("gc");
    plan = await here.pull("--plan", name);
    expect(plan.layers).toMatchObject([{ how: "zstd-chunked", why: expect.stringContaining("earlier try") }]);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how: "zstd-chunked", fallbacks: [] }]);
    expect(result.resumedBytes).toBeGreaterThan(100_000);
    expect(Math.abs(bytesOf(result) / bytesOf(plan) - 1)).toBeLessThan(0.01);
    expect(await faults(here, image, [...version(2), ...more])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });

  it("comes right through a network that breaks and a registry that refuses", async () => {
    const here = await machine(driver);
    await here.pull(await push(driver, "n", await buildImage({ layers: [layers[1]] })));
    const image = await buildImage({ layers: [layers[2]] });
    const name = await push(driver, "n", image);
    const path = new RegExp(layers[2].descriptor.digest);
    proxy.setRules([
      { path, nth: [1, 3], fault: { kind: "drop", afterBytes: 3000, how: "reset" } },
      { path, nth: [5], fault: { kind: "status", status: 503 } },
    ]);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how: "zstd-chunked", fallbacks: [] }]);
    expect(result.retries).toBeGreaterThan(0);
    expect(await faults(here, image, version(2))).toEqual([]);
  });

  it("is pulled by two processes at the same time, while garbage is collected, and fetched once", async () => {
    const here = await machine(driver);
    await here.pull(await push(driver, "t", await buildImage({ layers: [layers[1]] })));
    const image = await buildImage({ layers: [layers[2]] });
    const name = await push(driver, "t", image);
    const pulls = [1, 2].map(() => here.exec(["--json", "pull", name]));
    const collections = (async (): Promise<void> => {
      for (let round = 0; round < 4; round++) await here.ok("gc");
    })();
    const results = (await Promise.all(pulls)).map(({ json }) => json as PullResult);
    await collections;
    expect(results.map(({ layers: [layer] }) => layer!.how).toSorted()).toEqual(["present", "zstd-chunked"]);
    expect(await faults(here, image, version(2))).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });
});

describe("other dialects", () => {
  const members = (nodes: readonly TreeNode[]) =>
    nodes.flatMap(({ type, path, content }) =>
      type === "file" && content !== undefined
        ? [{ type: "file" as const, name: path, content: Buffer.from(content) }]
        : [],
    );

  it.each<[string, EstargzOptions, string, string]>([
    ["eStargz", {}, "estargz", "application/vnd.oci.image.layer.v1.tar+gzip"],
    ["nerdctl's zstd:chunked", { codec: "zstd" }, "zstd-chunked", "application/vnd.oci.image.layer.v1.tar+zstd"],
  ])("of %s save what is here of large files", async (_, options, how) => {
    const here = await machine(DRIVERS[0]!);
    const big = [rng.bytes(2_000_000), rng.bytes(3_000_000)];
    const build = (last: string): KitLayer => {
      const nodes = [...big.map((bytes, at) => file(`big${at}`, bytes)), file("c", last)];
      const { tar, blob, descriptor } = estargzLayer(members(nodes), options);
      return layerOf(tar, blob, descriptor.mediaType, descriptor.annotations);
    };
    await here.pull(await push("dialect", how, await buildImage({ layers: [build("one")] })));
    const name = await push("dialect", how, await buildImage({ layers: [build("another")] }));
    const plan = await here.pull("--plan", name);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how, fallbacks: [] }]);
    expect(bytesOf(result)).toBeLessThan(200_000);
    expect(result.bytes).toEqual(plan.bytes);
  });
});
