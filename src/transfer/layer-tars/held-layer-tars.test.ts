import { readdirSync, readlinkSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../test/kit/images/oci-layout.ts";
import { transferContext, type TestContext } from "../../../test/kit/store/transfer-context.ts";
import { file } from "../../../test/kit/trees/tree-node.ts";
import type { SeekableTar } from "../../layer/seekable/seekable-tar.ts";
import { digestOf, type Digest } from "../../oci/digest.ts";
import { StoreLayout } from "../../store/layout.ts";
import { copyImage } from "../copy.ts";
import { HeldLayerTars } from "./held-layer-tars.ts";
import { openBase } from "./open-base.ts";

async function bytesOf(tar: SeekableTar): Promise<Buffer> {
  const bytes = Buffer.alloc(tar.size);
  await tar.read(bytes, 0);
  return bytes;
}

async function held(context: TestContext, image: KitImage): Promise<void> {
  const layout = join(context.path, "layout");
  await writeOciLayout(layout, image);
  await copyImage(context, `oci:${layout}`, "localhost/image:1");
}

/** Files of this process that nobody can see. */
function unnamedFiles(): number {
  const fds = readdirSync("/proc/self/fd").map((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return "";
    }
  });
  return fds.filter((path) => path.includes("/.new-") && path.endsWith("(deleted)")).length;
}

const LAYERS = [[file("a", "one"), file("b", "x".repeat(100_000))], [file("a", "two")], [file("c", "three")]];

describe("tars of held layers", () => {
  it.each(["gzip", "zstd", "none"] as const)("are had from blobs (%s), each inflated once", async (compression) => {
    const context = await transferContext();
    const image = await buildImage({ layers: LAYERS, compression });
    await held(context, image);
    await using tars = new HeldLayerTars(context);
    const diffIds = image.layers.map(({ diffId }) => diffId);
    for (const diffId of diffIds) expect(await tars.has(diffId)).toBe(true);
    const opened = await Promise.all([...diffIds, ...diffIds].map((diffId) => tars.open(diffId)));
    for (const [at, tar] of opened.entries()) {
      expect((await bytesOf(tar)).equals(image.layers[at % 3]!.tar)).toBe(true);
      await tar[Symbol.asyncDispose]();
    }
    expect(unnamedFiles()).toBe(compression === "none" ? 0 : 3);
    await tars[Symbol.asyncDispose]();
    expect(unnamedFiles()).toBe(0);
  });

  it("are had from what EROFS keeps, and stay readable when it goes", async () => {
    const context = await transferContext();
    const tar = Buffer.alloc(10_000, "tar");
    const folder = new StoreLayout(context.store.root).layer(digestOf(tar));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, "layer.tar"), tar);
    await using tars = new HeldLayerTars(context);
    await using opened = await tars.open(digestOf(tar));
    await rm(folder, { recursive: true });
    expect((await bytesOf(opened)).equals(tar)).toBe(true);
    expect([...opened.parts(5, 7)]).toEqual([
      { kind: "file", path: expect.stringMatching(/^\/proc\/self\/fd\/\d+$/), start: 5, length: 7 },
    ]);
    expect(await tars.has(digestOf(tar))).toBe(false);
  });

  it("follow each other as the base of a delta", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: LAYERS });
    await held(context, image);
    await using tars = new HeldLayerTars(context);
    const diffIds = image.layers.map(({ diffId }) => diffId);
    const before = readdirSync("/proc/self/fd").length;
    {
      await using many = await openBase(tars, Array<Digest>(5000).fill(diffIds[1]!));
      expect(many.size).toBe(5000 * image.layers[1]!.tar.length);
      // The file that it was inflated into, and the one that is read.
      expect(readdirSync("/proc/self/fd").length).toBeLessThan(before + 9);
    }
    await using base = await openBase(tars, [...diffIds, diffIds[0]!]);
    const parts = [...image.layers, image.layers[0]!].map(({ tar }) => tar);
    expect((await bytesOf(base)).equals(Buffer.concat(parts))).toBe(true);
    await expect(openBase(tars, [...diffIds, digestOf("other")])).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
  });

  it("are missing when the only blob is damaged or is another layer's", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: LAYERS });
    await held(context, image);
    const [first, second] = image.layers;
    const path = context.store.content.pathOf(first!.descriptor.digest);
    await rm(path);
    await writeFile(path, second!.bytes);
    await using tars = new HeldLayerTars(context);
    await expect(tars.open(first!.diffId)).rejects.toMatchObject({
      code: "DELTA_BASE_MISSING",
      message: /cannot be read here: .* inflates to/,
    });
    await rm(path);
    await writeFile(path, first!.bytes.subarray(0, -9));
    await expect(tars.open(first!.diffId)).rejects.toMatchObject({ code: "DELTA_BASE_MISSING" });
    await rm(path);
    await mkdir(path);
    expect(await tars.has(first!.diffId)).toBe(false);
    expect(unnamedFiles()).toBe(0);
  });

  it("are not waited for by who is interrupted, and inflated for who is not", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: [[file("big", Buffer.alloc(40_000_000))]] });
    await held(context, image);
    await using tars = new HeldLayerTars(context);
    const diffId: Digest = image.layers[0]!.diffId;
    const leaving = new AbortController();
    const left = tars.open(diffId, leaving.signal);
    const stays = tars.open(diffId);
    leaving.abort();
    await expect(left).rejects.toMatchObject({ code: "INTERRUPTED" });
    await using tar = await stays;
    expect(tar.size).toBe(image.layers[0]!.tar.length);
    await expect(tars.open(diffId, AbortSignal.abort())).rejects.toMatchObject({ code: "INTERRUPTED" });
  });

  it("are had of images that were only copied, but not by who has no time to read all of them", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: LAYERS });
    await held(context, image);
    const [{ diffId, descriptor, tar }] = image.layers as [KitImage["layers"][number]];
    await using tars = new HeldLayerTars(context);
    expect([await tars.has(diffId), await tars.has(diffId, { quick: true })]).toEqual([true, false]);
    const { digest, mediaType, size } = descriptor;
    const facts = { digest, diffId, mediaType, size, uncompressedSize: tar.length, entries: 2, verifiedAt: new Date() };
    await context.store.layers.put(facts);
    expect(await tars.has(diffId, { quick: true })).toBe(true);
  });

  it("give the configs of images", async () => {
    const context = await transferContext();
    const image = await buildImage({ layers: LAYERS });
    await held(context, image);
    await using tars = new HeldLayerTars(context);
    const { configDigest } = (await context.store.images.list())[0]!;
    expect(digestOf((await tars.config(configDigest!))!)).toBe(configDigest);
    expect(await tars.config(digestOf("other"))).toBeUndefined();
  });
});
