/** Delta images merged into one without any of the images: what comes of it makes the third image of the first, layer by layer. */
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { gather } from "../../../../test/codec/streams.ts";
import { buildDelta } from "../../../../test/kit/images/build-delta.ts";
import { buildImage, type KitImage } from "../../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../../test/kit/images/oci-layout.ts";
import { createRng } from "../../../../test/kit/images/rng.ts";
import { pushImage } from "../../../../test/kit/images/push-image.ts";
import { startRegistry } from "../../../../test/kit/registry/registry.ts";
import { transferContext, type TestContext } from "../../../../test/kit/store/transfer-context.ts";
import { file, type TreeNode } from "../../../../test/kit/trees/tree-node.ts";
import { memoryBase } from "../../../codec/librsync/base.ts";
import { DeltaWriter } from "../../../codec/librsync/delta-writer.ts";
import { applyDelta } from "../../../codec/librsync/patch.ts";
import { digestOf } from "../../../oci/digest.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import { copyImage } from "../../copy.ts";
import { openManifest, readImageConfig } from "../../open-image.ts";
import { openSource } from "../../open-place.ts";
import { readDeltaImage, type DeltaImage } from "../delta-image.ts";
import { librsyncOf } from "../open-delta.ts";
import { composeDeltas } from "./compose-deltas.ts";

const rng = createRng(7);
const BIG = rng.bytes(150_000);
const OTHER = rng.bytes(60_000);

/** A file that is a part of another, with something new in it. */
const part = (path: string, from: Uint8Array, start: number, end: number, note: string): TreeNode =>
  file(path, Buffer.concat([from.subarray(start, end), Buffer.from(note), from.subarray(end - 5000, end)]));

const ROOT = [file("etc/base", rng.text(20_000))];
const IMAGES = {
  old: [ROOT, [part("big", BIG, 0, 120_000, "old")], [file("same", OTHER)]],
  middle: [ROOT, [part("big", BIG, 10_000, 150_000, "middle"), file("note", "b")], [file("same", OTHER)]],
  target: [
    ROOT,
    [part("big", BIG, 5000, 140_000, "target")],
    [file("same", OTHER), part("copy", OTHER, 100, 50_000, "c")],
    [],
  ],
};

async function buildImages(): Promise<Record<keyof typeof IMAGES, KitImage>> {
  const [old, middle, target] = [IMAGES.old, IMAGES.middle, IMAGES.target].map((layers) => buildImage({ layers }));
  return { old: await old!, middle: await middle!, target: await target! };
}

/** Puts it into a layout beside the store, and says under which name. */
async function layout(context: TestContext, image: KitImage, name: string): Promise<string> {
  await writeOciLayout(join(context.path, name), image);
  return `oci:${join(context.path, name)}:latest`;
}

interface Opened {
  readonly manifest: Manifest;
  readonly image: DeltaImage;
  readonly tars: readonly Buffer[];
}

/** The delta image of that name, and the tars that it makes of the base's. */
async function applied(context: TestContext, name: string, base: KitImage): Promise<Opened> {
  await using source = await openSource(context, name);
  const { manifest } = await openManifest(source, name, undefined);
  const image = readDeltaImage(manifest, await readImageConfig(source, manifest, name, context.signal));
  const stream = memoryBase(Buffer.concat(base.layers.map(({ tar }) => tar)));
  const tars: Buffer[] = [];
  for (const [index, { blob, isEmpty }] of image.layers.entries()) {
    if (isEmpty) tars.push(base.layers[index]!.tar);
    else tars.push(await gather(applyDelta(stream, librsyncOf(source.blob(blob)))));
  }
  return { manifest, image, tars };
}

function expectMade({ image, tars }: Opened, base: KitImage, target: KitImage): void {
  expect(image.baseId).toBe(base.config.digest);
  expect(image.target.digest).toBe(target.config.digest);
  expect(tars.map((tar) => digestOf(tar))).toEqual(target.layers.map(({ diffId }) => diffId));
}

describe.each([true, false])("two deltas, annotated: %s", (annotated) => {
  it("are one that makes the last image of the first", async () => {
    const context = await transferContext();
    const { old, middle, target } = await buildImages();
    // Without annotations only the store can tell how large what is in common is.
    if (!annotated) await copyImage(context, await layout(context, old, "old"), "localhost/old:1");
    if (!annotated) await recordSizes(context, old);
    const first = await layout(context, await buildDelta(old, middle, { annotated }), "first");
    const second = await layout(context, await buildDelta(middle, target, { annotated }), "second");
    const result = await composeDeltas(context, first, second, { tag: "localhost/delta:1" });
    const opened = await applied(context, "localhost/delta:1", old);
    expectMade(opened, old, target);
    expect(result).toMatchObject({
      first,
      second,
      name: "localhost/delta:1",
      pushed: null,
      digest: opened.manifest.digest,
      baseId: old.config.digest,
      middleId: middle.config.digest,
      targetId: target.config.digest,
      layers: [{ how: "common" }, { how: "delta" }, { how: "delta" }, { how: "delta" }],
    });
    expect(result.deltaBlobBytes).toBeLessThan(result.givenBlobBytes);
    expect(opened.image.base).toEqual(annotated ? old.layers.map(({ diffId }) => diffId) : undefined);
    expect(opened.image.targetManifest).toBe(annotated ? target.digest : undefined);
    const sizes = target.layers.map(({ tar }) => tar.length);
    expect(opened.image.layers.map(({ size }) => size)).toEqual(annotated ? sizes : [undefined, ...sizes.slice(1)]);
  });
});

/** As pulls record them. */
async function recordSizes({ store }: TestContext, { layers }: KitImage): Promise<void> {
  const verifiedAt = new Date();
  const records = layers.map(({ descriptor, diffId, tar }) => {
    return { ...descriptor, diffId, uncompressedSize: tar.length, entries: 1, verifiedAt };
  });
  await store.layers.put(...records);
}

it("is the delta that would have been made of the images, but for what it copies", async () => {
  const context = await transferContext();
  const { old, middle, target } = await buildImages();
  const names = [await buildDelta(old, middle), await buildDelta(middle, target)].map((delta, at) =>
    layout(context, delta, `${at}`),
  );
  await composeDeltas(context, (await names[0])!, (await names[1])!, { tag: "delta:1" });
  const direct = await layout(context, await buildDelta(old, target), "direct");
  const [composed, made] = [await applied(context, "delta:1", old), await applied(context, direct, old)];
  expect(composed.manifest.annotations).toEqual(made.manifest.annotations);
  const facts = ({ manifest }: Opened): unknown =>
    manifest.layers.map(({ mediaType, annotations }) => ({ mediaType, annotations }));
  expect(facts(composed)).toEqual(facts(made));
  expect(composed.image.layers.map(({ isEmpty }) => isEmpty)).toEqual([true, false, false, false]);
});

it("an image that comes back to what it was has all layers in common", async () => {
  const context = await transferContext();
  const { old, middle } = await buildImages();
  const first = await layout(context, await buildDelta(old, middle), "first");
  const second = await layout(context, await buildDelta(middle, old), "second");
  const result = await composeDeltas(context, first, second);
  expect(result.layers.map(({ how }) => how)).toEqual(["common", "common", "common"]);
  expect(result.name).toMatch(/^docker\.io\/library\/delta:delta-[0-9a-f]{8}$/);
  expectMade(await applied(context, result.name!, old), old, old);
});

it("an image of fewer layers, and one of more, all of whose layers are others", async () => {
  const context = await transferContext();
  const { old, middle } = await buildImages();
  const flat = await buildImage({ layers: [[file("all", Buffer.concat([BIG, OTHER]))]] });
  for (const [at, [a, b, c]] of [
    [old, flat, middle],
    [flat, middle, flat],
    [flat, old, middle],
  ].entries()) {
    const first = await layout(context, await buildDelta(a!, b!), `first${at}`);
    const second = await layout(context, await buildDelta(b!, c!), `second${at}`);
    await composeDeltas(context, first, second, { tag: `delta:${at}` });
    expectMade(await applied(context, `delta:${at}`, a!), a!, c!);
  }
});

it("goes to a registry", async () => {
  const context = await transferContext();
  await using registry = await startRegistry();
  const { old, middle, target } = await buildImages();
  await pushImage(registry.host, "app", "first", await buildDelta(old, middle));
  await pushImage(registry.host, "app", "second", await buildDelta(middle, target));
  const app = `docker://${registry.host}/app`;
  const result = await composeDeltas(context, `${app}:first`, `${app}:second`, { push: `${registry.host}/app:both` });
  expect(result).toMatchObject({ name: null, pushed: `${registry.host}/app:both` });
  expectMade(await applied(context, `${app}:both`, old), old, target);
  expect(await context.store.images.list()).toEqual([]);
});

describe("is refused", () => {
  it("deltas that do not follow each other, and what is no delta", async () => {
    const context = await transferContext();
    const { old, middle, target } = await buildImages();
    const first = await layout(context, await buildDelta(old, middle), "first");
    const second = await layout(context, await buildDelta(middle, target), "second");
    const wrong = composeDeltas(context, second, first);
    await expect(wrong).rejects.toMatchObject({
      code: "DELTA_BASE_DIFFERS",
      message: expect.stringContaining(target.config.digest),
    });
    const none = composeDeltas(context, first, await layout(context, target, "image"));
    await expect(none).rejects.toMatchObject({ code: "USAGE", message: /is no delta/ });
    expect(await context.store.images.list()).toEqual([]);
  });

  it("a layer in common of which nobody says how large it is", async () => {
    const context = await transferContext();
    const { old, middle, target } = await buildImages();
    const first = await layout(context, await buildDelta(old, middle, { annotated: false }), "first");
    const second = await layout(context, await buildDelta(middle, target, { annotated: false }), "second");
    const work = composeDeltas(context, first, second);
    await expect(work).rejects.toMatchObject({
      code: "DELTA_IMAGE_INVALID",
      message: /how large/,
      hint: /pull the image/,
    });
  });

  it("a delta that makes more or less than it says, and one that is none", async () => {
    const context = await transferContext();
    const { old, middle, target } = await buildImages();
    const good = await layout(context, await buildDelta(old, middle), "good");
    const copies = (length: number): Buffer => {
      const writer = new DeltaWriter();
      writer.copy(0, length);
      writer.end();
      return Buffer.concat(writer.take());
    };
    const cases = [
      ["DELTA_INVALID", copies(10)],
      ["INGEST_LIMIT", copies(200_000)],
      ["DELTA_BASE_DIFFERS", copies(10_000_000)],
      ["DELTA_INVALID", Buffer.from("no delta")],
    ] as const;
    for (const [at, [code, delta]] of cases.entries()) {
      const deltas = [delta, delta, delta, delta];
      const bad = await layout(context, await buildDelta(middle, target, { deltas }), `bad${at}`);
      await expect(composeDeltas(context, good, bad)).rejects.toMatchObject({ code });
    }
    const first = await layout(
      context,
      await buildDelta(old, middle, { deltas: [copies(1), copies(9), copies(9)] }),
      "short",
    );
    const second = await layout(context, await buildDelta(middle, target), "second");
    await expect(composeDeltas(context, first, second)).rejects.toMatchObject({ code: "DELTA_INVALID" });
    expect(await context.store.images.list()).toEqual([]);
  });

  it("a blob that is not what its digest says", async () => {
    const context = await transferContext();
    const { old, middle, target } = await buildImages();
    const first = await layout(context, await buildDelta(old, middle), "first");
    const delta = await buildDelta(middle, target, {});
    const [, layer] = delta.layers;
    // The same delta, and something behind the tar: only the digest tells.
    const blobs = delta.blobs.map((blob) =>
      blob.digest === layer!.descriptor.digest ? { ...blob, bytes: damaged(blob.bytes) } : blob,
    );
    const second = await layout(context, { ...delta, blobs }, "second");
    await expect(composeDeltas(context, first, second)).rejects.toMatchObject({
      code: expect.stringMatching(/^(DIGEST|SIZE)_MISMATCH$/),
    });
  });
});

function damaged(bytes: Buffer): Buffer {
  const copy = Buffer.from(bytes);
  // The time in a gzip header, which no reader looks at.
  copy[5]! ^= 1;
  return copy;
}
