/** What disks of machines take, and that taking out their images frees it. */
import { stat } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { putTartImage } from "../../../test/kit/disk/put-tart-image.ts";
import { tartImage } from "../../../test/kit/disk/tart-image.ts";
import { openPartialDisk } from "../../../test/kit/store/open-window.ts";
import { sample } from "../../../test/kit/store/sample.ts";
import { transferContext } from "../../../test/kit/store/transfer-context.ts";
import { digestOf } from "../../oci/digest.ts";
import type { ImageRecord } from "../../store/images.ts";
import { diskUsage } from "../disk-usage.ts";
import { publishChunkIndex } from "./index/publish.ts";
import { collectGarbage } from "../gc.ts";
import { removeImages } from "../images.ts";
import { prune } from "../prune.ts";

const [OLD, SAME, NEW] = ["a.example/machine:1", "a.example/same:1", "a.example/machine:2"] as const;
const DATA = 300_000;
const SIZE = 2_000_000;

/** A disk that is mostly a hole. */
function machine(seed: number): ReturnType<typeof tartImage> {
  const disk = Buffer.alloc(SIZE);
  sample(DATA, seed).bytes.copy(disk);
  return tartImage(disk, { chunkSizes: [DATA, SIZE - DATA] });
}

describe("disks of machines", () => {
  it("count with what they take, once, whoever has them", async () => {
    const context = await transferContext();
    const { store } = context;
    const { path } = await putTartImage(store, OLD, machine(1));
    await putTartImage(store, SAME, machine(1));
    const { blocks } = await stat(path);
    const usage = await diskUsage(context);
    expect(usage.disks).toEqual({ count: 1, bytes: blocks * 512, logicalBytes: SIZE });
    expect(usage.disks.bytes).toBeLessThan(SIZE / 4);
    expect(usage.totalBytes).toBe(usage.blobs.bytes + usage.disks.bytes);
    for (const { bytes } of usage.images.each) expect(bytes).toBeGreaterThan(DATA);
    expect(usage.partialDisks).toEqual({ count: 0, bytes: 0 });

    const content = { ...sample(50_000, 3), offset: 0 };
    {
      await using partial = await openPartialDisk(store, digestOf("partial"), SIZE);
      await using window = await partial.window(content);
      await window.write(0, content.bytes);
      await window.commit(content);
    }
    expect((await diskUsage(context)).partialDisks).toMatchObject({ count: 1 });
  });

  it("are of as many images as users have named: lists of chunk indexes are none", async () => {
    const context = await transferContext();
    const { store, signal } = context;
    const image = machine(1);
    await putTartImage(store, OLD, image);
    await using lease = await store.leases.create();
    const indexes = new Map([...image.blobs.keys()].map((digest) => [digest, Buffer.from(`index of ${digest}`)]));
    await publishChunkIndex(store, { name: OLD, manifest: image.manifest, indexes, lease, signal });
    const usage = await diskUsage(context);
    expect(await store.images.list()).toHaveLength(2);
    expect(usage.images).toMatchObject({ count: 1, each: [{ name: OLD }] });
    expect(usage.unreferenced.count).toBe(0);
  });

  it("take their chunk indexes along, as a dry run of gc says before", async () => {
    const context = await transferContext();
    const { store, signal } = context;
    const image = machine(1);
    await putTartImage(store, OLD, image);
    {
      await using lease = await store.leases.create();
      const indexes = new Map([...image.blobs.keys()].map((digest) => [digest, Buffer.from(`index of ${digest}`)]));
      await publishChunkIndex(store, { name: OLD, manifest: image.manifest, indexes, lease, signal });
    }
    await store.images.delete(OLD);
    const told = await collectGarbage(context, { dryRun: true });
    const done = await collectGarbage(context);
    expect(done.blobs.count).toBeGreaterThan(image.blobs.size);
    expect([told.blobs, told.disks, told.freedBytes]).toEqual([done.blobs, done.disks, done.freedBytes]);
    expect(await store.images.list()).toEqual([]);
    expect((await diskUsage(context)).totalBytes).toBe(0);
  });

  it("go with the last image that has them, and what that frees is told", async () => {
    const context = await transferContext();
    const { store } = context;
    const { key } = await putTartImage(store, OLD, machine(1));
    await putTartImage(store, SAME, machine(1));
    expect(await removeImages(context, [OLD])).toMatchObject({ disks: [], deleted: [] });
    const { disks, freedBytes } = await removeImages(context, [SAME]);
    expect(disks).toEqual([key]);
    expect(freedBytes).toBeGreaterThan(DATA);
    expect(await store.disks.stat(key)).toBeUndefined();
  });

  it("are what prune frees, as it said in its dry run", async () => {
    const context = await transferContext();
    const { store } = context;
    const old = await putTartImage(store, OLD, machine(1));
    const [{ updatedAt }] = (await store.images.list()) as [ImageRecord];
    await expect.poll(() => Date.now()).toBeGreaterThan(updatedAt.getTime());
    const kept = await putTartImage(store, NEW, machine(2));
    const options = { keepBytes: 1 };
    const told = await prune(context, { ...options, dryRun: true });
    expect(told.removed.map(({ name }) => name)).toEqual([OLD]);
    expect(told.freedBytes).toBeGreaterThan(DATA);
    const done = await prune(context, options);
    expect(done.freedBytes).toBe(told.freedBytes);
    expect(done.totalBytes).toBe(told.totalBytes);
    expect(await store.disks.stat(old.key)).toBeUndefined();
    expect(await store.disks.stat(kept.key)).toBeDefined();
  });
});
