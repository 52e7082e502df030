/** What a pull does with layers of any chunked format, into each driver: a format that exists only here stands for the real ones. */
import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { deflateRawSync } from "node:zlib";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startFaultProxy, type FaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import type { FaultRule } from "../../../test/kit/faults/fault-script.ts";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import type { KitLayer } from "../../../test/kit/images/build-layer.ts";
import { framedFormat, framedLayer } from "../../../test/kit/images/framed-layer.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../../../test/kit/registry/registry.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { directory, file, type TreeNode } from "../../../test/kit/trees/tree-node.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import type { DriverName } from "../../snapshot/types.ts";
import { StoreLayout } from "../../store/layout.ts";
import { pull, type PullOptions } from "../pull.ts";
import type { PullResult } from "../pull-result.ts";
import { openSnapshots } from "../snapshotter.ts";

vi.mock("./formats.ts", () => ({ formatOf: framedFormat }));

interface Bench extends Omit<TestContext, "registry"> {
  readonly context: TestContext;
  readonly registry: KitRegistry;
  readonly proxy: FaultProxy;
  readonly pull: (name: string, options?: PullOptions) => Promise<PullResult>;
  readonly push: (tag: string, ...layers: KitLayer[]) => Promise<{ name: string; image: KitImage }>;
}

async function bench(driver: DriverName, faults: readonly FaultRule[] = []): Promise<Bench> {
  const registry = await startRegistry();
  onTestFinished(() => registry.close());
  const proxy = await startFaultProxy({ target: registry.host, rules: faults });
  onTestFinished(() => proxy.close());
  const context = await transferContext();
  const snapshots = await openSnapshots(context.store, driver, { sync: false });
  const snapshotter = { choice: driver, open: () => Promise.resolve({ snapshots }) };
  return {
    ...context,
    context,
    registry,
    proxy,
    pull: (name, options) => pull({ ...context, snapshotter }, name, options),
    async push(tag, ...layers) {
      const image = await buildImage({ layers });
      await pushImage(registry.host, "app", tag, image);
      return { name: `${proxy.host}/app:${tag}`, image };
    },
  };
}

const rng = createRng(11);
const CONTENT = Array.from({ length: 12 }, (_, at) => rng.bytes(60_000 + at * 1000));
const EXTRA = rng.bytes(30_000);

/** Files of one application, of which later versions change one. */
function version(changed?: number): TreeNode[] {
  return [
    directory("app"),
    ...CONTENT.map((bytes, at) => file(`app/f${at}`, at === changed ? Buffer.concat([EXTRA, bytes]) : bytes)),
    file("app/empty", ""),
  ];
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Bytes of blobs that the registry has sent since the last look, without documents. */
function sent(registry: KitRegistry, layer: KitLayer): number {
  const bytes = registry.requests
    .filter(({ path }) => path.endsWith(layer.descriptor.digest))
    .map((request) => request.sent);
  registry.clearRequests();
  return sum(bytes);
}

async function leftBehind({ store }: Pick<TestContext, "store">, layer: KitLayer): Promise<string[]> {
  const layout = new StoreLayout(store.root);
  const found: string[] = [];
  for (const digest of [layer.diffId, layer.descriptor.digest]) {
    if ((await store.content.stat(digest)) !== undefined) found.push(`blob ${digest}`);
  }
  return [...found, ...(await readdir(layout.ingests))];
}

/** Content of files of a layer's tar that is held as one. */
const tarOf = ({ store }: Pick<TestContext, "store">, diffId: Digest): Promise<Buffer> =>
  readFile(join(new StoreLayout(store.root).layer(diffId), "layer.tar"));

describe.each(await usableDrivers())("chunked layers, unpacked by %s", (driver) => {
  it("cost what changed, as planned, and nothing the next time", async () => {
    const here = await bench(driver);
    const [old, next] = [framedLayer(version()), framedLayer(version(3))];
    const first = await here.pull((await here.push("1", old)).name);
    // Nothing was here that it could be made of.
    expect(first.layers).toMatchObject([{ how: "full", why: expect.stringContaining("nothing is here") }]);
    const { name } = await here.push("1", next);
    here.registry.clearRequests();
    const plan = await here.pull(name, { plan: true });
    expect(plan.layers).toMatchObject([{ how: "zstd-chunked", why: expect.stringContaining("less from the network") }]);
    expect(await here.pull(name, { plan: true })).toMatchObject({ bytes: plan.bytes, layers: plan.layers });
    here.registry.clearRequests();
    const result = await here.pull(name);
    const [layer] = result.layers;
    expect(layer).toMatchObject({ how: "zstd-chunked", unpack: "unpacked", fallbacks: [] });
    expect(layer!.bytes).toEqual(plan.layers[0]!.bytes);
    expect(layer!.requests).toBe(plan.layers[0]!.requests);
    expect(result.bytes).toEqual(plan.bytes);
    expect(sent(here.registry, next)).toBe(layer!.bytes.network);
    expect(layer!.bytes.network).toBeLessThan(next.bytes.length / 4);
    expect(layer!.bytes.local).toBe(sum(CONTENT.map(({ length }) => length)) - CONTENT[3]!.length);
    expect(await leftBehind(here, next)).toEqual([]);
    expect(await here.store.layers.get(next.descriptor.digest)).toMatchObject({
      diffId: next.diffId,
      discardedAt: expect.any(Date),
    });
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date", requests: 1 });
    if (driver === "erofs") expect((await tarOf(here, next.diffId)).equals(next.tar)).toBe(true);
  });

  it("are planned by what was measured before the first of them, as plans are", async () => {
    const here = await bench(driver);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const { name } = await here.push("1", framedLayer(version(3)));
    const rates = vi.spyOn(here.context.registry, "rates");
    rates.mockReturnValueOnce({ latencyMs: 0 }).mockReturnValue({ latencyMs: 60_000 });
    expect((await here.pull(name)).layers).toMatchObject([{ how: "zstd-chunked" }]);
  });

  it("come whole without a look at what is here from a registry that earlier pulls found as near as a disk, and of pieces from a slow one", async () => {
    const here = await bench(driver);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const next = framedLayer(version(3));
    const { name } = await here.push("1", next);
    const rates = vi.spyOn(here.context.registry, "rates").mockReturnValue({ latencyMs: 0 });
    await here.store.registryRates.record(here.proxy.host, 100e6);
    here.registry.clearRequests();
    expect((await here.pull(name, { plan: true })).layers).toMatchObject([
      { how: "full", why: expect.stringContaining("as long to get and to use") },
    ]);
    expect(sent(here.registry, next)).toBe(0);
    for (let pull = 0; pull < 4; pull++) await here.store.registryRates.record(here.proxy.host, 100e3);
    expect((await here.pull(name)).layers).toMatchObject([{ how: "zstd-chunked" }]);
    rates.mockRestore();
  });

  it("come whole where that is not dearer, and with --no-unpack, which keeps blobs", async () => {
    const here = await bench(driver);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const other = framedLayer([file("other", rng.bytes(200_000))]);
    const { name } = await here.push("2", other);
    const plan = await here.pull(name, { plan: true });
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([{ how: "full", fallbacks: [] }]);
    expect(result.layers[0]!.bytes).toEqual(plan.layers[0]!.bytes);
    const next = framedLayer(version(5));
    const kept = await here.pull((await here.push("3", next)).name, { unpack: false });
    expect(kept.layers).toMatchObject([{ how: "full" }]);
    expect(await here.store.content.stat(next.descriptor.digest)).toBeDefined();
  });

  it.each<[string, (layer: KitLayer) => FaultRule, RegExp]>([
    ["its ranges are refused", () => ({ ranged: true, fault: { kind: "status", status: 416 } }), /ranges/],
    ["its ranges are not known", () => ({ ranged: true, fault: { kind: "status", status: 501 } }), /ranges/],
    ["its ranges are bad requests", () => ({ ranged: true, fault: { kind: "status", status: 400 } }), /ranges/],
    ["a range comes spoilt", () => ({ ranged: true, nth: { from: 2 }, fault: { kind: "flip", atByte: 40 } }), /./],
  ])("come whole when %s, and that is told", async (_, rule, reason) => {
    const next = framedLayer(version(2));
    const here = await bench(driver, [{ path: new RegExp(next.descriptor.digest), ...rule(next) }]);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const { name } = await here.push("1", next);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([
      { how: "full", unpack: "unpacked", fallbacks: [{ from: "zstd-chunked", reason: expect.stringMatching(reason) }] },
    ]);
    expect(here.events).toContainEqual(
      expect.objectContaining({ type: "fallback", digest: next.descriptor.digest, from: "zstd-chunked" }),
    );
    expect(await leftBehind(here, next)).toEqual([`blob ${next.descriptor.digest}`]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });

  it.each<[string, Parameters<typeof framedLayer>[1], RegExp]>([
    ["is refused by the planner", { spoil: (rows) => ({ refused: "it contradicts itself", rows }) }, /contradicts/],
    ["is no table at all", { spoil: () => null }, /./],
    [
      "says of headers what they are not",
      {
        spoil: (rows) =>
          rows.map((row, at) =>
            at === 2 ? { headers: deflateRawSync(Buffer.alloc(512, "x")).toString("base64") } : row,
          ),
      },
      /DIGEST_MISMATCH/,
    ],
    [
      "takes one file for another",
      {
        spoil: (rows) => {
          const files = rows.filter(({ file }) => file !== undefined);
          return rows.map((row) => (row === files[4] ? { file: { ...row.file!, digest: digestOf("x") } } : row));
        },
      },
      /DIGEST_MISMATCH/,
    ],
    ["is short of files", { spoil: (rows) => rows.slice(0, 5) }, /MISMATCH/],
  ])("come whole when their table of contents %s, and that is told", async (_, options, reason) => {
    const here = await bench(driver);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const next = framedLayer(version(2), options);
    const { name } = await here.push("2", next);
    const result = await here.pull(name);
    expect(result.layers).toMatchObject([
      { how: "full", unpack: "unpacked", fallbacks: [{ from: "zstd-chunked", reason: expect.stringMatching(reason) }] },
    ]);
    expect(await leftBehind(here, next)).toEqual([`blob ${next.descriptor.digest}`]);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });

  it("condemn an image whose DiffID is another's, as any layer does", async () => {
    const here = await bench(driver);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const layer = framedLayer(version(2));
    const image = await buildImage({ layers: [layer], lies: { layers: [{ diffId: digestOf("other") }] } });
    await pushImage(here.registry.host, "app", "2", image);
    await expect(here.pull(`${here.registry.host}/app:2`)).rejects.toMatchObject({ code: "DIFFID_MISMATCH" });
    expect(await readdir(join(here.store.root, "blobs/sha256"))).not.toContain(layer.diffId.slice(7));
  });

  it("take nothing from a local file that has changed since it was looked at", async () => {
    const here = await bench(driver);
    const old = framedLayer(version());
    await here.pull((await here.push("1", old)).name);
    const { name } = await here.push("1", framedLayer(version(1)));
    // A plan has looked at it, and what it found is remembered.
    await here.pull(name, { plan: true });
    await spoilHeld(here, driver, old);
    const result = await here.pull(name);
    const [layer] = result.layers;
    expect(layer).toMatchObject({ unpack: "unpacked" });
    if (layer!.how === "zstd-chunked") expect(sum([layer!.bytes.network])).toBeLessThan(300_000);
    else expect(layer!.fallbacks.length).toBeGreaterThan(0);
    expect(await here.pull(name)).toMatchObject({ status: "up-to-date" });
  });

  it("go on where they were interrupted", async () => {
    const kept = file("kept", rng.bytes(3_000_000));
    const next = framedLayer([
      ...version(),
      kept,
      ...Array.from({ length: 40 }, (_, at) => file(`new${at}`, rng.bytes(100_000))),
    ]);
    const path = new RegExp(next.descriptor.digest);
    const here = await bench(driver, [
      { path, ranged: true, nth: 2, fault: { kind: "drop", afterBytes: 2_600_000 } },
      { path, nth: { from: 3 }, fault: { kind: "status", status: 503 } },
    ]);
    await here.pull((await here.push("1", framedLayer([...version(), kept]))).name);
    const { name } = await here.push("1", next);
    await expect(here.pull(name)).rejects.toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    here.proxy.setRules([]);
    // Nobody cleans that up meanwhile.
    await here.store.collectGarbage();
    const plan = await here.pull(name, { plan: true });
    expect(plan.layers).toMatchObject([{ how: "zstd-chunked", why: expect.stringContaining("earlier try") }]);
    const result = await here.pull(name);
    expect(result.layers[0]!.how).toBe("zstd-chunked");
    expect(result.resumedBytes).toBeGreaterThan(0);
    expect(Math.abs(result.layers[0]!.bytes.network / plan.layers[0]!.bytes.network - 1)).toBeLessThan(0.01);
    expect(await leftBehind(here, next)).toEqual([]);
  });

  it("are made once between pulls at the same time", async () => {
    const here = await bench(driver);
    await here.pull((await here.push("1", framedLayer(version()))).name);
    const next = framedLayer(version(7));
    const { name } = await here.push("1", next);
    here.registry.clearRequests();
    const results = await Promise.all([1, 2, 3].map(() => here.pull(name)));
    const hows = results.map(({ layers }) => layers[0]!.how).toSorted();
    expect(hows).toEqual(["present", "present", "zstd-chunked"]);
    const bytes = Math.max(...results.map(({ layers }) => layers[0]!.bytes.network));
    expect(sent(here.registry, next)).toBe(bytes);
    expect(await leftBehind(here, next)).toEqual([]);
  });
});

/** Changes content that is held unpacked, in place. */
async function spoilHeld(here: Pick<TestContext, "store">, driver: DriverName, layer: KitLayer): Promise<void> {
  const layout = new StoreLayout(here.store.root);
  const spoil = async (path: string): Promise<void> => {
    const bytes = await readFile(path);
    const mode = 0o600;
    await chmod(path, mode);
    bytes.fill(1, 5000, Math.min(bytes.length, 60_000));
    await writeFile(path, bytes);
  };
  if (driver === "erofs") return spoil(join(layout.layer(layer.diffId), "layer.tar"));
  const entries = await readdir(layout.snapshots, { recursive: true, withFileTypes: true });
  for (const entry of entries)
    if (entry.isFile() && entry.name === "f4") await spoil(join(entry.parentPath, entry.name));
}
