/** Delta images asked for by name, into each driver: what comes is the target, and what cannot be made leaves nothing behind. */
import { readdir } from "node:fs/promises";
import { describe, expect, it, onTestFinished } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage, type DeltaImageOptions } from "../../../test/kit/images/delta-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { pullBench, type PullBench } from "../../../test/kit/snapshot/pull-bench.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { directory, file } from "../../../test/kit/trees/tree-node.ts";
import { StoreLayout } from "../../store/layout.ts";
import { openStore } from "../../store/store.ts";
import { checkStore } from "../fsck.ts";
import { pull } from "../pull.ts";
import { unpackedBy } from "../snapshotter.ts";

const DRIVERS = await usableDrivers();
const [DRIVER = "copy"] = DRIVERS;

const rng = createRng(71);
const content = (at: number): Buffer => CONTENT[at] ?? Buffer.alloc(0);
const CONTENT = Array.from({ length: 6 }, (_, at) => rng.bytes(90_000 + at * 1000));
const NEWS = rng.bytes(20_000);

const common = [directory("lib"), file("lib/a", content(0)), file("lib/b", content(1))];
const before = [directory("app"), ...CONTENT.slice(2).map((bytes, at) => file(`app/f${at}`, bytes))];
const after = [directory("app"), file("app/f0", Buffer.concat([NEWS, content(2)])), file("app/moved", content(4))];
const added = [file("added", content(1))];

const [base, target] = await Promise.all([
  buildImage({ layers: [common, before] }),
  buildImage({ layers: [common, after, added] }),
]);

async function pulled(here: PullBench, delta: DeltaImageOptions = {}): ReturnType<PullBench["pull"]> {
  await here.push("base", base);
  await here.pull("base");
  await here.push("delta", await buildDeltaImage(base, target, delta));
  return here.pull("delta");
}

async function isWhole({ context }: PullBench, image: KitImage): Promise<void> {
  const { store } = context;
  expect(Buffer.from(await store.content.readBytes(image.config.digest, 1e6)).equals(image.config.bytes)).toBe(true);
  expect(await readdir(new StoreLayout(store.root).ingests)).toEqual([]);
}

describe.each(DRIVERS)("delta images, unpacked by %s", (driver) => {
  it("give the target under its own config, of layers that are here", async () => {
    const here = await pullBench(driver);
    const result = await pulled(here);
    expect(result).toMatchObject({
      status: "pulled",
      imageId: target.config.digest,
      snapshotter: driver,
      layers: [
        { diffId: target.layers[0]!.diffId, how: "present" },
        { diffId: target.layers[1]!.diffId, how: "librsync-delta", unpack: "unpacked" },
        { diffId: target.layers[2]!.diffId, how: "librsync-delta", unpack: "unpacked" },
      ],
      warnings: [],
    });
    expect(result.deltaDigest).not.toBe(result.digest);
    const [, changed] = result.layers;
    expect(changed!.bytes.network).toBeLessThan(NEWS.length + 1500);
    expect(changed!.bytes.network).toBeGreaterThan(NEWS.length);
    expect(changed!.bytes.local + changed!.bytes.data).toBe(target.layers[1]!.tar.length);
    expect(changed!.bytes.local).toBeGreaterThan(150_000);
    await isWhole(here, target);
    const { store } = here.context;
    expect(await unpackedBy(store, driver, result.chainId!)).toBe(driver);
    expect(await store.images.get(result.reference)).toMatchObject({ configDigest: target.config.digest });
    // What came is the delta; nobody is to take it for the layer.
    for (const { descriptor } of (await buildDeltaImage(base, target)).layers) {
      expect(await store.layers.get(descriptor.digest)).toBeUndefined();
      expect(await store.content.stat(descriptor.digest)).toBeUndefined();
    }
    expect(await here.pull("delta")).toMatchObject({ status: "up-to-date", imageId: target.config.digest });
  });
});

describe("delta images", () => {
  it("that do not say how large their layers are come first and are measured", async () => {
    const here = await pullBench(DRIVER);
    await here.push("base", base);
    await here.pull("base");
    await here.push("delta", await buildDeltaImage(base, target, { annotated: false }));
    // Its digest is that of a manifest which names sizes.
    const plan = await here.pull("delta", { plan: true });
    expect(plan).toMatchObject({ digest: null, imageId: target.config.digest });
    const result = await here.pull("delta");
    expect(result).toMatchObject({ status: "pulled", imageId: target.config.digest });
    expect(result.layers.map(({ how }) => how)).toEqual(["present", "librsync-delta", "librsync-delta"]);
    // No manifest of the target is known: its layers are the blobs that are here, and the tars that were made.
    const [shared, ...made] = target.layers;
    const blobs = [shared?.descriptor.digest, ...made.map(({ diffId }) => diffId)];
    expect(result.layers.map(({ digest }) => digest)).toEqual(blobs);
    for (const digest of blobs) expect(await here.context.store.content.stat(digest ?? target.digest)).toBeDefined();
    expect(await checkStore(here.context)).toMatchObject({ sound: true, findings: [] });
    await isWhole(here, target);
    expect(await here.pull("delta")).toMatchObject({ status: "up-to-date" });
  });

  it("of what is here already fetch no delta", async () => {
    const here = await pullBench(DRIVER);
    await here.push("target", target);
    await here.pull("target");
    await here.push("delta", await buildDeltaImage(base, target));
    here.registry.clearRequests();
    const result = await here.pull("delta");
    expect(result).toMatchObject({ imageId: target.config.digest, digest: target.digest });
    expect(result.layers.map(({ how }) => how)).toEqual(["present", "present", "present"]);
    // Manifest and config of the delta image.
    expect(here.registry.requests.filter(({ path }) => path.includes("/blobs/"))).toHaveLength(1);
  });

  it("have the target's own manifest where its repository has it", async () => {
    const here = await pullBench(DRIVER);
    await here.push("target", target);
    const result = await pulled(here);
    expect(result).toMatchObject({ digest: target.digest, imageId: target.config.digest });
    expect(result.layers[1]).toMatchObject({ digest: target.layers[1]!.descriptor.digest, how: "librsync-delta" });
    await here.push("2", target);
    // A plain pull of the target finds all of it.
    expect(await here.pull("2")).toMatchObject({
      layers: [{ how: "present" }, { how: "present" }, { how: "present" }],
    });
    await isWhole(here, target);
  });

  it("are planned as they are pulled", async () => {
    const here = await pullBench(DRIVER);
    await here.push("base", base);
    await here.pull("base");
    await here.push("delta", await buildDeltaImage(base, target));
    const plan = await here.pull("delta", { plan: true });
    expect(plan.layers.map(({ how }) => how)).toEqual(["present", "librsync-delta", "librsync-delta"]);
    const result = await here.pull("delta");
    expect(result.layers.map(({ bytes }) => bytes.network)).toEqual(plan.layers.map(({ bytes }) => bytes.network));
    expect(result.deltaDigest).toBe(plan.deltaDigest);
  });

  it("are only had, as tars, where nothing is to be unpacked", async () => {
    const here = await pullBench(DRIVER);
    await here.push("target", target);
    await here.push("base", base);
    await here.pull("base", { unpack: false });
    await here.push("delta", await buildDeltaImage(base, target));
    const result = await here.pull("delta", { unpack: false });
    expect(result).toMatchObject({ status: "pulled", imageId: target.config.digest, snapshotter: null });
    for (const { diffId, tar } of target.layers) {
      expect((await here.context.store.content.stat(diffId))?.size).toBe(tar.length);
    }
    expect(await here.pull("delta", { unpack: false })).toMatchObject({ status: "up-to-date" });
    await isWhole(here, target);
  });

  it("are made once by two processes that want them, unpacked or not", async () => {
    const here = await pullBench(DRIVER);
    await here.push("base", base);
    await here.pull("base");
    await here.push("delta", await buildDeltaImage(base, target));
    for (const unpack of [false, true]) {
      const second = await openStore(here.context.store.root, { sync: false });
      onTestFinished(() => second.close());
      const other = pull({ ...here.context, store: second }, `${here.proxy.host}/app:delta`, { unpack });
      const results = await Promise.all([here.pull("delta", { unpack }), other]);
      for (const result of results) expect(result.imageId).toBe(target.config.digest);
    }
    await isWhole(here, target);
  });

  it("say nothing of layers that are here already", async () => {
    const here = await pullBench(DRIVER);
    const sizes = target.layers.map(({ tar }, at) => (at === 0 ? 77 : tar.length));
    await here.push("base", base);
    await here.pull("base");
    await here.push(
      "delta",
      await buildDeltaImage(base, target, { sizes, annotations: { "dev.varve.delta.target": "" } }),
    );
    const result = await here.pull("delta");
    const { length } = target.layers[0]?.bytes ?? [];
    expect(result.layers.map(({ size }) => size)).toEqual([length, ...sizes.slice(1)]);
  });

  it("are refused where deltas are not to be used", async () => {
    const here = await pullBench(DRIVER);
    await here.push("delta", await buildDeltaImage(base, target));
    await expect(here.pull("delta", { delta: "never" })).rejects.toMatchObject({ code: "USAGE" });
  });

  it("take all of their base, and what they leave out, from a store that is only read", async () => {
    const other = await pullBench(DRIVER);
    await other.push("base", base);
    await other.pull("base");
    const here = await pullBench(DRIVER);
    await here.push("delta", await buildDeltaImage(base, target));
    await expect(here.pull("delta")).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
    const result = await here.pull("delta", { deltaRoots: [other.context.store.root] });
    expect(result).toMatchObject({
      status: "pulled",
      imageId: target.config.digest,
      layers: [{ how: "present", unpack: "unpacked" }, { how: "librsync-delta" }, { how: "librsync-delta" }],
    });
    expect(result.layers[0]!.bytes).toMatchObject({ network: 0, local: target.layers[0]!.tar.length });
    await isWhole(here, target);
  });
});

it("deltas go on where the network was cut, and where the process was", async () => {
  const delta = await buildDeltaImage(base, target);
  const { digest, size } = delta.layers[1]!.descriptor;
  const cut = { kind: "drop", afterBytes: Math.floor(size / 2) } as const;
  const here = await pullBench(DRIVER, [{ path: new RegExp(digest), fault: cut, nth: 1 }]);
  await here.push("base", base);
  await here.pull("base");
  await here.push("delta", delta);
  const result = await here.pull("delta");
  expect(result).toMatchObject({ status: "pulled", imageId: target.config.digest, retries: 1 });
  await isWhole(here, target);
});

it("deltas that come spoilt are got once more", async () => {
  const delta = await buildDeltaImage(base, target);
  const { digest } = delta.layers[1]!.descriptor;
  const here = await pullBench(DRIVER, [{ path: new RegExp(digest), fault: { kind: "flip", atByte: 5000 }, nth: 1 }]);
  await here.push("base", base);
  await here.pull("base");
  await here.push("delta", delta);
  expect(await here.pull("delta")).toMatchObject({ status: "pulled", imageId: target.config.digest });
  await isWhole(here, target);
});
