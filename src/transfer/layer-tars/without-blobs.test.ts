/** Delta upon delta where no blob is kept: what a delta has made is the base of the next one. And with a store beside that has what the own one lacks. */
import { readdir } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { buildDeltaImage } from "../../../test/kit/images/delta-image.ts";
import { createRng } from "../../../test/kit/images/rng.ts";
import { pieceOf } from "../../../test/kit/layer/memory-tar.ts";
import { pullBench, type PullBench } from "../../../test/kit/snapshot/pull-bench.ts";
import { usableDrivers } from "../../../test/kit/snapshot/usable-drivers.ts";
import { directory, file, hardlink, type TreeNode } from "../../../test/kit/trees/tree-node.ts";
import { StoreLayout } from "../../store/layout.ts";
import { HeldLayerTars } from "./held-layer-tars.ts";

const usable = await usableDrivers();
const rng = createRng(91);
const [LARGE, MIDDLE] = [rng.bytes(300_000), rng.bytes(120_000)];

function version(number: number): readonly TreeNode[][] {
  const app = [
    directory("app"),
    file("app/large", Buffer.concat([rng.bytes(500), LARGE, Buffer.from(`v${number}`)])),
    file("app/middle", MIDDLE),
    hardlink("app/same", "app/middle"),
    ...Array.from({ length: 40 }, (_, at) => file(`app/small-${at}`, `small ${at} of ${number % (at + 1)}`)),
  ];
  return [[directory("lib"), file("lib/a", MIDDLE)], app];
}

const [one, two, three] = await Promise.all([1, 2, 3].map((number) => buildImage({ layers: version(number) })));

async function expectTars({ context }: PullBench, { layers }: KitImage, isHere: boolean): Promise<void> {
  await using tars = new HeldLayerTars(context);
  for (const { diffId, tar } of layers) {
    expect(await tars.has(diffId)).toBe(isHere);
    if (!isHere) continue;
    await using opened = await tars.open(diffId);
    expect((await pieceOf(opened, 0, opened.size)).equals(tar)).toBe(true);
  }
}

describe("layers without blobs", () => {
  it.for(["erofs", "overlay", "copy"] as const)(
    "are bases of deltas that make such layers (%s)",
    async (driver, { skip }) => {
      skip(!usable.includes(driver), `${driver} cannot be used here`);
      const here = await pullBench(driver);
      await here.push("1", one!);
      await here.push("2", await buildDeltaImage(one!, two!));
      await here.push("3", await buildDeltaImage(two!, three!));
      await here.pull("1", { discardBlobs: true });
      for (const [tag, image] of [
        ["2", two!],
        ["3", three!],
      ] as const) {
        const result = await here.pull(tag, { discardBlobs: true });
        expect(result).toMatchObject({
          imageId: image.config.digest,
          layers: [{ how: "present" }, { how: "librsync-delta" }],
        });
        expect(result.layers[1]!.bytes.network).toBeLessThan(10_000);
        await expectTars(here, image, true);
      }
      const { store } = here.context;
      expect(await readdir(new StoreLayout(store.root).ingests)).toEqual([]);
      for (const { diffId, descriptor } of three!.layers) {
        expect(await store.content.stat(diffId)).toBeUndefined();
        expect(await store.content.stat(descriptor.digest)).toBeUndefined();
      }
    },
  );

  it.for(["erofs", "overlay", "copy"] as const)(
    "are bases in a store beside, common layers too (%s)",
    async (driver, { skip }) => {
      skip(!usable.includes(driver), `${driver} cannot be used here`);
      const beside = await pullBench(driver);
      await beside.push("1", one!);
      await beside.pull("1", { discardBlobs: true });
      const here = await pullBench("copy");
      await here.push("2", await buildDeltaImage(one!, two!));
      await expect(here.pull("2")).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
      const result = await here.pull("2", { deltaRoots: [beside.context.store.root] });
      expect(result).toMatchObject({ imageId: two!.config.digest, status: "pulled" });
      expect(result.layers.map(({ bytes }) => bytes.network < 10_000)).toEqual([true, true]);
    },
  );
});
