/** Deltas that are kept beside an image in a store or a layout: found there, taken along by copies, and gone with the image. */
import { describe, expect, it } from "vitest";
import { buildImage, type KitImage } from "../../../../test/kit/images/build-image.ts";
import { writeOciLayout } from "../../../../test/kit/images/oci-layout.ts";
import { pushImage } from "../../../../test/kit/images/push-image.ts";
import { at, noise, opening, testClient } from "../../../../test/kit/http/test-client.ts";
import { startRegistry } from "../../../../test/kit/registry/registry.ts";
import { transferContext } from "../../../../test/kit/store/transfer-context.ts";
import { DELTA_CONFIG_MEDIA_TYPE } from "../../../oci/delta-names.ts";
import { digestOf } from "../../../oci/digest.ts";
import type { Manifest } from "../../../oci/manifest.ts";
import { collectGarbage } from "../../gc.ts";
import { copyImage } from "../../copy.ts";
import { listImages, removeImages } from "../../images.ts";
import { pull } from "../../pull.ts";
import { openImageSink, openImageSource } from "../../transports/open.ts";
import { StoreSink } from "../../transports/store-sink.ts";
import { readDeltaManifest } from "../discover/read-manifest.ts";
import { keepDeltas } from "./keep.ts";
import type { DeltasToPublish, PublishedDelta } from "./types.ts";

const BASE = digestOf("the base's layer");

function deltaFor(image: KitImage, layer: number, seed: string): PublishedDelta {
  const bytes = noise(5000, seed);
  const { diffId, tar } = image.layers[layer]!;
  const blob = { digest: digestOf(bytes), size: bytes.length };
  return { how: "tar-diff", blob, base: [BASE], to: diffId, size: tar.length, open: opening(bytes) };
}

function toKeep(image: KitImage, ...deltas: PublishedDelta[]): DeltasToPublish {
  return { target: image.descriptor, base: [BASE], deltas };
}

const image = await buildImage({ layers: [[{ path: "a", type: "file", content: Buffer.from("a") }]] });

describe("deltas in a store", () => {
  it("refer to their image, go with it, and are in no list of images", async () => {
    await using registry = await startRegistry();
    await pushImage(registry.host, "team/app", "v1", image);
    const context = await transferContext();
    const name = `${registry.host}/team/app:v1`;
    await pull(context, name, { unpack: false });
    const delta = deltaFor(image, 0, "one");
    await using sink = await StoreSink.open({ store: context.store, name, signal: context.signal });
    const kept = await keepDeltas(sink, toKeep(image, delta), context.signal);
    expect(kept).toMatchObject({ copied: 2, present: 0, warnings: [] });
    await sink[Symbol.asyncDispose]();
    await collectGarbage(context);
    expect((await context.store.content.stat(delta.blob.digest))?.size).toBe(5000);
    expect((await listImages(context)).map((row) => row.name)).toEqual([name]);
    const other = `${registry.host}/team/other:v1`;
    await copyImage(context, name, `docker://${other}`, { referrers: true });
    await using client = testClient();
    const [found] = await client.referrers(at(registry.host, "team/other:v1"), image.digest);
    expect(found).toMatchObject({ digest: kept.manifest.digest, artifactType: DELTA_CONFIG_MEDIA_TYPE });
    const manifest = await client.fetchManifest(at(registry.host, "team/other:v1"), { digest: found!.digest });
    expect(readDeltaManifest(manifest as Manifest, image.digest)).toEqual([
      {
        how: "tar-diff",
        blob: { mediaType: "application/vnd.tar-diff", ...delta.blob },
        from: [BASE],
        to: delta.to,
        size: delta.size,
      },
    ]);
    await removeImages(context, [name]);
    expect(await context.store.images.list()).toEqual([]);
    expect(await context.store.content.stat(delta.blob.digest)).toBeUndefined();
  });
});

describe("deltas in a layout", () => {
  it("refer to their image, also those that come later, and go along to a registry", async () => {
    const context = await transferContext();
    const layout = `${context.path}/layout`;
    await writeOciLayout(layout, image, "v1");
    const place = { transport: "oci", path: layout, tag: "v1" } as const;
    for (const seed of ["one", "two", "one"]) {
      await using sink = await openImageSink(place);
      await keepDeltas(sink, toKeep(image, deltaFor(image, 0, seed)), context.signal);
    }
    await using source = await openImageSource(place);
    expect((await source.root()).digest).toBe(image.digest);
    expect(await source.referrers?.(image.digest)).toHaveLength(2);
    await using registry = await startRegistry({ quirks: { referrers: false } });
    await copyImage(context, `oci:${layout}:v1`, `docker://${registry.host}/team/app:v1`, { referrers: true });
    await using client = testClient();
    const artifactType = DELTA_CONFIG_MEDIA_TYPE;
    expect(await client.referrers(at(registry.host), image.digest, { artifactType })).toHaveLength(2);
  });
});
