/** Images say what they are, honest ones in truth and lying ones as told. */
import { gunzipSync, zstdDecompressSync } from "node:zlib";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { checkLayers, parseImageConfig } from "../../../src/oci/config.ts";
import { digestHex, digestOf } from "../../../src/oci/digest.ts";
import { parseManifest } from "../../../src/oci/manifest.ts";
import { tempDir } from "../temp-dir.ts";
import { file } from "../trees/tree-node.ts";
import { buildImage, buildIndex } from "./build-image.ts";
import { buildLayer } from "./build-layer.ts";
import { writeOciLayout } from "./oci-layout.ts";

const layers = [[file("a", "1")], [file("b", "2")]];

function parsed(bytes: Uint8Array) {
  const document = parseManifest(bytes);
  if (document.kind !== "manifest") throw new Error("not a manifest");
  return document;
}

describe("an honest image", () => {
  it.each(["oci", "docker"] as const)("of %s types holds what its documents say", async (flavour) => {
    const image = await buildImage({ layers, flavour, config: { User: "1000" } });
    const manifest = parsed(image.bytes);
    const config = parseImageConfig(image.config.bytes);
    checkLayers(manifest, config);
    expect(config.rootfs.diffIds).toEqual(image.layers.map(({ diffId }) => diffId));
    for (const { bytes, tar, diffId, descriptor } of image.layers) {
      expect([digestOf(bytes), bytes.length]).toEqual([descriptor.digest, descriptor.size]);
      expect(digestOf(gunzipSync(bytes))).toBe(diffId);
      expect(digestOf(tar)).toBe(diffId);
    }
    expect(image.blobs.map(({ digest }) => digest)).toEqual(
      [...manifest.layers, manifest.config].map(({ digest }) => digest),
    );
  });

  it("is the same every time, and can be zstd or plain", async () => {
    const [a, b] = [await buildImage({ layers }), await buildImage({ layers })];
    expect(a.digest).toBe(b.digest);
    const zstd = await buildLayer(layers[0] ?? [], { compression: "zstd" });
    expect(zstdDecompressSync(zstd.bytes).equals(zstd.tar)).toBe(true);
    const plain = await buildLayer(layers[0] ?? [], { compression: "none" });
    expect(plain.descriptor.digest).toBe(plain.diffId);
  });

  it("shares layers with others, and stands in an index by platform", async () => {
    const base = await buildLayer(layers[0] ?? []);
    const images = await Promise.all(
      ["v6", "v7"].map((variant) =>
        buildImage({ layers: [base, [file(variant)]], platform: { os: "linux", architecture: "arm", variant } }),
      ),
    );
    const index = parseManifest(buildIndex(images).bytes);
    if (index.kind !== "index") throw new Error("not an index");
    expect(index.manifests.map(({ platform }) => platform?.variant)).toEqual(["v6", "v7"]);
    expect(images[0]?.layers[0]?.descriptor).toEqual(images[1]?.layers[0]?.descriptor);
  });

  it("becomes a layout that holds several by name", async () => {
    await using dir = await tempDir();
    const [one, two] = [await buildImage({ layers }), await buildImage({ layers: [[file("c")]] })];
    await writeOciLayout(dir.path, one, "v1");
    await writeOciLayout(dir.path, two, "v2");
    await writeOciLayout(dir.path, two, "v1");
    const { manifests } = JSON.parse(await readFile(join(dir.path, "index.json"), "utf8")) as {
      manifests: { digest: string }[];
    };
    expect(manifests.map(({ digest }) => digest)).toEqual([two.digest, two.digest]);
    expect((await readFile(join(dir.path, "blobs/sha256", digestHex(one.digest)))).equals(one.bytes)).toBe(true);
  });
});

describe("a lying image", () => {
  it("says what it was told to say", async () => {
    const wrong = digestOf("wrong");
    const image = await buildImage({
      layers,
      lies: {
        layers: { 0: { size: 7, diffId: wrong }, 1: { digest: wrong } },
        extraLayers: [{ mediaType: "application/octet-stream", digest: wrong, size: 1 }],
        extraDiffIds: [wrong, wrong],
        config: { corrupt: true },
        manifest: { schemaVersion: 3 },
        configDocument: { os: "plan9" },
      },
    });
    expect(JSON.parse(image.bytes.toString())).toMatchObject({
      schemaVersion: 3,
      layers: [{ size: 7 }, { digest: wrong }, { size: 1 }],
    });
    expect(JSON.parse(image.config.bytes.toString())).toMatchObject({
      os: "plan9",
      rootfs: { diff_ids: [wrong, image.layers[1]?.diffId, wrong, wrong] },
    });
    const config = image.blobs.find(({ digest }) => digest === image.config.digest);
    expect(config?.bytes.length).toBe(image.config.bytes.length);
    expect(config?.bytes.equals(image.config.bytes)).toBe(false);
    expect(image.blobs.some(({ digest }) => digest === wrong)).toBe(true);
  });

  it("can have a manifest of any size", async () => {
    const image = await buildImage({ layers, lies: { manifestBytes: 5 << 20 } });
    expect(image.bytes.length).toBe(5 << 20);
    expect(JSON.parse(image.bytes.toString())).toMatchObject({ schemaVersion: 2 });
  });

  it("can keep a blob back", async () => {
    const image = await buildImage({ layers, lies: { layers: { 0: { absent: true } } } });
    expect(image.blobs).toHaveLength(2);
  });
});
