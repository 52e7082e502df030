/** Images of zstd:chunked and eStargz layers: a re-pushed tag costs what changed, as planned, whatever happens meanwhile. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { PullResult } from "../../src/transfer/pull-result.ts";
import { buildImage } from "../kit/images/build-image.ts";
import { buildLayer, layerOf, type KitLayer } from "../kit/images/build-layer.ts";
import { chunkedLayer } from "../kit/images/chunked-layer.ts";
import { estargzLayer, type EstargzOptions } from "../kit/images/estargz.ts";
import { createRng } from "../kit/images/rng.ts";
import { usableDrivers } from "../kit/snapshot/usable-drivers.ts";
import { file } from "../kit/trees/tree-node.ts";
import { chunkedBench, imageFaults, membersOf, MOST_CHANGED, version, type ChunkedBench } from "./chunked-bench.ts";

const DRIVERS = await usableDrivers();
const rng = createRng(22);

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

let bench: ChunkedBench;
let layers: { readonly 1: KitLayer; readonly 2: KitLayer };
beforeAll(async () => {
  bench = await chunkedBench();
  layers = { 1: await chunkedLayer(version(1)), 2: await chunkedLayer(version(2)) };
});
afterAll(() => bench[Symbol.asyncDispose]());

const bytesOf = ({ layers: [layer] }: PullResult): number => layer!.bytes.network;

describe.each(DRIVERS)("a re-pushed tag, unpacked by %s", (driver) => {
  it("costs what changed, as planned; then nothing, under whatever name", async () => {
    const here = await bench.machine(driver);
    const [first, second] = await Promise.all([1, 2].map((at) => buildImage({ layers: [layers[at as 1 | 2]] })));
    await here.pull(await bench.push(driver, "1", first!));
    const name = await bench.push(driver, "1", second!);
    const plan = await here.pull("--plan", name);
    const asked = bench.proxy.requests.length;
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how: "zstd-chunked", unpack: "unpacked", fallbacks: [] }]);
    expect(bytesOf(result)).toBeLessThan(MOST_CHANGED);
    // What is planned is what is moved, and that is what came over the wire.
    expect(result.bytes).toEqual(plan.bytes);
    expect(sum(bench.proxy.requests.slice(asked).map((request) => request.sent))).toBe(result.bytes.network);
    expect(await imageFaults(here, second!, [version(2)])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date", requests: 1 });
    const renamed = await here.pull(await bench.push(`other-${driver}`, "x", second!));
    expect(renamed).toMatchObject({ status: "pulled", layers: [{ how: "present", unpack: "present" }] });
    // Another tool's compression of the same content, in another image.
    const zipped = await buildImage({ layers: [await buildLayer(layers[2].tar, { compression: "gzip" })] });
    const again = await here.pull(await bench.push(`zipped-${driver}`, "x", zipped));
    expect(again.layers).toMatchObject([{ how: "present", bytes: { network: 0 } }]);
  });

  it("costs what changed also where the older version came as gzip", async () => {
    const here = await bench.machine(driver);
    const old = await buildImage({ layers: [await buildLayer(version(1), { compression: "gzip" })] });
    await here.pull(await bench.push(driver, "g", old));
    const second = await buildImage({ layers: [layers[2]] });
    const result = await here.pull(await bench.push(driver, "g", second));
    expect(result.layers).toMatchObject([{ how: "zstd-chunked" }]);
    expect(bytesOf(result)).toBeLessThan(MOST_CHANGED);
    expect(await imageFaults(here, second, [version(2)])).toEqual([]);
  });

  it("goes on where a killed pull stopped, which gc does not touch", async () => {
    const here = await bench.machine(driver);
    const more = Array.from({ length: 30 }, (_, at) => file(`app/more${at}`, rng.bytes(100_000)));
    const layer = await chunkedLayer([...version(2), ...more]);
    await here.pull(await bench.push(driver, "k", await buildImage({ layers: [layers[1]] })));
    const image = await buildImage({ layers: [layer] });
    const name = await bench.push(driver, "k", image);
    const path = new RegExp(layer.descriptor.digest);
    const slow = { kind: "slow", bytesPerSecond: 1_500_000 } as const;
    // The table of contents comes, and of the rest a part.
    bench.proxy.setRules([{ path, nth: { from: 2 }, fault: [slow, { kind: "stall", afterBytes: 1_500_000 }] }]);
    await using program = here.start(["pull", "--progress", "json", name]);
    await program.output(/"type":"progress"[^\n]*"network":[1-9]\d{5}/);
    // What was written is recorded a second after its first byte: seen in the plan of another process.
    bench.proxy.setRules([]);
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
    expect(await imageFaults(here, image, [[...version(2), ...more]])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });

  it("comes right through a network that breaks and a registry that refuses", async () => {
    const here = await bench.machine(driver);
    await here.pull(await bench.push(driver, "n", await buildImage({ layers: [layers[1]] })));
    const image = await buildImage({ layers: [layers[2]] });
    const name = await bench.push(driver, "n", image);
    const path = new RegExp(layers[2].descriptor.digest);
    bench.proxy.setRules([
      { path, nth: [1, 3], fault: { kind: "drop", afterBytes: 3000, how: "reset" } },
      { path, nth: [5], fault: { kind: "status", status: 503 } },
    ]);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how: "zstd-chunked", fallbacks: [] }]);
    expect(result.retries).toBeGreaterThan(0);
    expect(await imageFaults(here, image, [version(2)])).toEqual([]);
  });

  it("is pulled by two processes at the same time, while garbage is collected, and fetched once", async () => {
    const here = await bench.machine(driver);
    await here.pull(await bench.push(driver, "t", await buildImage({ layers: [layers[1]] })));
    const image = await buildImage({ layers: [layers[2]] });
    const name = await bench.push(driver, "t", image);
    const pulls = [1, 2].map(() => here.exec(["--json", "pull", name]));
    const collections = (async (): Promise<void> => {
      for (let round = 0; round < 4; round++) await here.ok("gc");
    })();
    const results = (await Promise.all(pulls)).map(({ json }) => json as PullResult);
    await collections;
    expect(results.map(({ layers: [layer] }) => layer!.how).toSorted()).toEqual(["present", "zstd-chunked"]);
    expect(await imageFaults(here, image, [version(2)])).toEqual([]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });
});

describe("other dialects", () => {
  it.each<[string, EstargzOptions, string, string]>([
    ["eStargz", {}, "estargz", "application/vnd.oci.image.layer.v1.tar+gzip"],
    ["nerdctl's zstd:chunked", { codec: "zstd" }, "zstd-chunked", "application/vnd.oci.image.layer.v1.tar+zstd"],
  ])("of %s save what is here of large files", async (_, options, how) => {
    const here = await bench.machine(DRIVERS[0]!);
    const big = [rng.bytes(2_000_000), rng.bytes(3_000_000)];
    const build = (last: string): KitLayer => {
      const nodes = [...big.map((bytes, at) => file(`big${at}`, bytes)), file("c", last)];
      const { tar, blob, descriptor } = estargzLayer(membersOf(nodes), options);
      return layerOf(tar, blob, descriptor.mediaType, descriptor.annotations);
    };
    await here.pull(await bench.push("dialect", how, await buildImage({ layers: [build("one")] })));
    const name = await bench.push("dialect", how, await buildImage({ layers: [build("another")] }));
    const plan = await here.pull("--plan", name);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how, fallbacks: [] }]);
    expect(bytesOf(result)).toBeLessThan(200_000);
    expect(result.bytes).toEqual(plan.bytes);
  });
});
