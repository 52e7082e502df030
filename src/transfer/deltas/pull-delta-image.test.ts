/** Delta images asked for by name, into each driver: what comes is the target, and what cannot be made leaves nothing behind. */
import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage, type DeltaImageOptions } from "../../../test/kit/images/delta-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { pullBench, type PullBench } from "../../../test/kit/snapshot/pull-bench.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { directory, file } from "../../../test/kit/trees/tree-node.ts";
import { StoreLayout } from "../../store/layout.ts";
import { unpackedBy } from "../snapshotter.ts";

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

describe.each(await usableDrivers())("delta images, unpacked by %s", (driver) => {
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
    const here = await pullBench("erofs");
    const result = await pulled(here, { annotated: false });
    expect(result).toMatchObject({ status: "pulled", imageId: target.config.digest });
    expect(result.layers.map(({ how }) => how)).toEqual(["present", "librsync-delta", "librsync-delta"]);
    // No manifest of the target is known: its layers are the tars.
    expect(result.layers.map(({ digest }) => digest)).toEqual(target.layers.map(({ diffId }) => diffId));
    await isWhole(here, target);
    expect(await here.pull("delta")).toMatchObject({ status: "up-to-date" });
  });
});
