/** Pulls of machines' disks that are cut off, or get what is wrong: they go on where they were, and no wrong byte gets a name. */
import { readFile } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { machineBench, type MachineBench, type PullRun } from "../../../test/kit/disk/machine-bench.ts";
import { tartImage, type TartImage } from "../../../test/kit/disk/tart-image.ts";
import { startFaultProxy, type FaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import { noise } from "../../../test/kit/recipe/random-recipe.ts";
import { readDiskImage } from "../../codec/tart/read-disk-image.ts";
import type { Descriptor } from "../../oci/descriptor.ts";

const MIB = 1 << 20;
const random = (seed: string, bytes: number): Buffer => Buffer.from(noise(bytes, seed));
const machine = (...chunks: readonly Buffer[]): TartImage =>
  tartImage(Buffer.concat(chunks), { chunkSizes: chunks.map(({ length }) => length) });

function chunkBlobs({ manifest }: TartImage): Descriptor[] {
  const [disk] = readDiskImage(manifest)!.disks;
  return disk?.kind === "chunks" ? disk.chunks.map(({ blob }) => blob) : [];
}

const pathOf = ({ digest }: Descriptor): RegExp => new RegExp(`/blobs/${digest}`);

interface Faulty extends MachineBench {
  readonly proxy: FaultProxy;
  /** Through the proxy. */
  readonly run: (signal?: AbortSignal) => Promise<PullRun>;
}

/** @param checkpointBytes at which what came is recorded */
async function faulty(image: TartImage, checkpointBytes?: number): Promise<Faulty> {
  const bench = await machineBench(checkpointBytes);
  await bench.push("1", image);
  const proxy = await startFaultProxy({ target: bench.registry.host });
  onTestFinished(() => proxy[Symbol.asyncDispose]());
  const run = (signal?: AbortSignal): Promise<PullRun> =>
    bench.pull("1", { host: proxy.host, ...(signal !== undefined && { signal }) });
  return { ...bench, proxy, run };
}

async function expectDisk({ disks }: PullRun, { disk }: TartImage): Promise<void> {
  expect((await readFile(disks![0]!.path!)).equals(disk)).toBe(true);
}

describe("a pull of a disk over a bad network", () => {
  it("goes on within a chunk where the connection broke", async () => {
    const image = machine(random("a", 3 * MIB), random("b", MIB));
    const [first] = chunkBlobs(image);
    const { proxy, run } = await faulty(image);
    proxy.setRules([{ path: pathOf(first!), nth: [1, 2], fault: { kind: "drop", afterBytes: MIB } }]);
    const result = await run();
    await expectDisk(result, image);
    expect(result.retries).toBe(2);
    expect(proxy.bytesFor(pathOf(first!))).toBe(first!.size);
  });

  it("does without ranges where the registry serves none", async () => {
    const image = machine(random("a", MIB), random("b", MIB));
    const { registry, run } = await faulty(image);
    registry.setQuirks({ ranges: "ignore" });
    await expectDisk(await run(), image);
  });

  it("keeps the chunks that came when another cannot be had, and gets only that", async () => {
    const image = machine(random("a", MIB), random("b", MIB), random("c", MIB));
    const [, second] = chunkBlobs(image);
    const bench = await faulty(image);
    const { proxy, run } = bench;
    proxy.setRules([{ path: pathOf(second!), fault: { kind: "status", status: 404 } }]);
    // One after the other, so that the first has come.
    const alone = bench.pull("1", { host: proxy.host, concurrency: 1 });
    await expect(alone).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
    proxy.setRules([]);
    const planned = await bench.pull("1", { plan: true, host: proxy.host });
    const again = await run();
    await expectDisk(again, image);
    expect(planned.bytes).toEqual(again.bytes);
    expect(again.resumedBytes).toBeGreaterThanOrEqual(MIB);
    expect(again.bytes.network).toBeLessThanOrEqual(2 * MIB + 100_000);
  });
});

describe("a chunk that is wrong", () => {
  it("is got once more when it came spoilt", async () => {
    const image = machine(random("a", MIB), random("b", MIB));
    const [, second] = chunkBlobs(image);
    const { proxy, run } = await faulty(image);
    proxy.setRules([{ path: pathOf(second!), nth: 1, fault: { kind: "flip", atByte: MIB / 2 } }]);
    const result = await run();
    await expectDisk(result, image);
    const row = result.layers.find(({ digest }) => digest === second!.digest);
    expect(row).toMatchObject({
      bytes: { network: 2 * second!.size },
      requests: 2,
      fallbacks: [{ from: "first try" }],
    });
  });

  it.each([
    ["is not the blob that was named", { kind: "flip", atByte: MIB / 2 }, "DIGEST_MISMATCH"],
    ["is no Apple LZ4", { kind: "flip", atByte: 0 }, "COMPRESSION_INVALID"],
  ] as const)("is refused when it always %s, and nothing is recorded", async (_, fault, code) => {
    const image = machine(random("a", MIB));
    const [only] = chunkBlobs(image);
    const { proxy, run, withStore } = await faulty(image);
    proxy.setRules([{ path: pathOf(only!), fault }]);
    await expect(run()).rejects.toMatchObject({ code });
    await withStore(async (store) => {
      expect(await store.images.list()).toEqual([]);
      for await (const disk of store.disks.list()) expect.fail(`${disk.key} got a name`);
    });
    proxy.setRules([]);
    await expectDisk(await run(), image);
  });

  it.each([
    [
      "other bytes than the manifest says",
      (chunk: Buffer) => [random("other", chunk.length), chunk.length] as const,
      "DIGEST_MISMATCH",
    ],
    ["fewer bytes", (chunk: Buffer) => [chunk.subarray(1), chunk.length] as const, "SIZE_MISMATCH"],
    ["more bytes", (chunk: Buffer) => [Buffer.concat([chunk, chunk]), chunk.length] as const, "SIZE_MISMATCH"],
  ])("is refused when it holds %s", async (_, lie, code) => {
    const chunk = random("a", MIB);
    const image = lyingImage(chunk, lie(chunk)[0]);
    const { run } = await faulty(image);
    await expect(run()).rejects.toMatchObject({ code });
  });
});

/** The manifest says `said` of a blob that holds `held`. */
function lyingImage(said: Buffer, held: Buffer): TartImage {
  return tartImage(said, { holds: () => held });
}

/** A pull of a chunk that stopped when 20 MiB had come, and was then cut off. */
async function interrupted(image: TartImage): Promise<Faulty & { readonly blob: Descriptor }> {
  const bench = await faulty(image, 4 * MIB);
  const { proxy, run } = bench;
  const blob = chunkBlobs(image)[0]!;
  const stop = new AbortController();
  proxy.setRules([{ path: pathOf(blob), nth: 1, fault: { kind: "stall", afterBytes: 20 * MIB } }]);
  const cut = run(stop.signal);
  await expect.poll(() => proxy.bytesFor(pathOf(blob)), { timeout: 20_000 }).toBeGreaterThanOrEqual(20 * MIB);
  stop.abort();
  await expect(cut).rejects.toMatchObject({ code: "INTERRUPTED" });
  proxy.setRules([]);
  return { ...bench, blob };
}

describe("a pull that is interrupted", () => {
  it("goes on in the midst of a chunk, and fetches what is missing", async () => {
    // Incompressible, so that the blob's bytes are about the disk's.
    const image = machine(random("a", 24 * MIB));
    const { proxy, run, blob, ...bench } = await interrupted(image);
    const before = proxy.bytesFor(pathOf(blob));
    const planned = await bench.pull("1", { plan: true, host: proxy.host });
    const again = await run();
    await expectDisk(again, image);
    expect(planned.bytes).toEqual(again.bytes);
    expect(again.resumedBytes).toBeGreaterThanOrEqual(8 * MIB);
    expect(proxy.bytesFor(pathOf(blob)) - before).toBeLessThanOrEqual(blob.size - 8 * MIB);
    expect(await bench.faults()).toEqual([]);
  });

  it("gets the chunk from its start where the registry serves no ranges any more", async () => {
    const image = machine(random("a", 24 * MIB));
    const { registry, run, faults } = await interrupted(image);
    registry.setQuirks({ ranges: "ignore" });
    await expectDisk(await run(), image);
    expect(await faults()).toEqual([]);
  });

  it("has no byte of the disk that the tag was moved away from", async () => {
    const [old, now] = [
      machine(random("a", 2 * MIB), random("b", MIB)),
      machine(Buffer.alloc(2 * MIB), random("c", MIB)),
    ];
    const { proxy, run, push } = await faulty(old);
    proxy.setRules([{ path: pathOf(chunkBlobs(old)[1]!), fault: { kind: "status", status: 404 } }]);
    await expect(run()).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
    await push("1", now);
    proxy.setRules([]);
    const result = await run();
    await expectDisk(result, now);
    expect(result.disks![0]!.allocatedBytes).toBeLessThan(MIB + 16_384);
  });
});
