/** Images of every shape, converted: what becomes of their documents, what is kept, and what is left when something fails. */
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { buildImage, buildIndex, type KitImage, type KitIndex } from "../../test/kit/images/build-image.ts";
import { layerOf, type KitLayer } from "../../test/kit/images/build-layer.ts";
import { DOCUMENT_TYPES } from "../../test/kit/images/compress.ts";
import { writeOciLayout } from "../../test/kit/images/oci-layout.ts";
import { packTree } from "../../test/kit/images/pack-tree.ts";
import { transferContext, type TestContext } from "../../test/kit/store/transfer-context.ts";
import { file } from "../../test/kit/trees/tree-node.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import type { Index, Manifest } from "../oci/manifest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { convertImage, type ConvertResult } from "./convert.ts";
import { openSource } from "./open-place.ts";
import { unpack } from "./unpack.ts";

const TOC = "io.github.containers.zstd-chunked.manifest-checksum";
const ARM = { os: "linux", architecture: "arm64" };
const AMD_ROOT = "a".repeat(90_000);

interface Converted {
  readonly result: ConvertResult;
  readonly root: Manifest | Index;
  readonly document: (descriptor: Descriptor | undefined) => Promise<Manifest | Index>;
}

/** To another layout. */
async function convert(
  context: TestContext,
  image: KitImage | KitIndex,
  options: Partial<Parameters<typeof convertImage>[3]> = {},
): Promise<Converted> {
  const [from, to] = [join(context.path, "from"), join(context.path, "to")];
  await writeOciLayout(from, image, "1");
  const asked = { compression: "zstd:chunked", all: true, ...options } as const;
  const result = await convertImage(context, `oci:${from}:1`, `oci:${to}:1`, asked);
  await using source = await openSource(context, `oci:${to}:1`);
  const root = await source.root();
  expect(root.digest).toBe(result.digest);
  return {
    result,
    root,
    async document(descriptor) {
      await using again = await openSource(context, `oci:${to}:1`);
      return again.document(descriptor!);
    },
  };
}

const jsonOf = ({ bytes }: Manifest | Index): Record<string, unknown> =>
  JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>;

function indexOver(images: readonly KitImage[], entries: readonly object[], more: object = {}): KitIndex {
  const mediaType = DOCUMENT_TYPES.oci.index;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, manifests: entries, ...more }));
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  return { kind: "index", bytes, digest: descriptor.digest, descriptor, images };
}

const image = (more: Partial<Parameters<typeof buildImage>[0]> = {}): Promise<KitImage> =>
  buildImage({
    layers: [[file("shared", AMD_ROOT)], [file("own", JSON.stringify(more.platform ?? "amd64"))]],
    ...more,
  });

/** What BuildKit puts beside an image. */
async function attestationOf({
  digest,
}: KitImage): Promise<{ readonly attestation: KitImage; readonly entry: object }> {
  const statement = Buffer.from(JSON.stringify({ _type: "https://in-toto.io/Statement/v0.1", subject: [] }));
  const layer = layerOf(statement, statement, "application/vnd.in-toto+json");
  const attestation = await buildImage({ layers: [layer], platform: { os: "unknown", architecture: "unknown" } });
  const annotations = {
    "vnd.docker.reference.type": "attestation-manifest",
    "vnd.docker.reference.digest": digest,
  };
  const { platform, ...descriptor } = attestation.descriptor;
  return { attestation, entry: { ...descriptor, platform, annotations } };
}

describe("an image of Docker's types", () => {
  it.each(["zstd", "zstd:chunked"] as const)("becomes one of OCI's as %s, with the same ID", async (compression) => {
    const context = await transferContext();
    const docker = await image({ flavour: "docker" });
    const { root, result } = await convert(context, docker, { compression });
    expect(root).toMatchObject({
      mediaType: MEDIA_TYPES.ociManifest,
      config: { mediaType: MEDIA_TYPES.ociConfig, digest: docker.config.digest },
      layers: [{ mediaType: MEDIA_TYPES.ociLayerZstd }, { mediaType: MEDIA_TYPES.ociLayerZstd }],
    });
    expect(result.layers.map(({ how }) => how)).toEqual(["converted", "converted"]);
    // And back.
    const gzip = await convertImage(context, `oci:${join(context.path, "to")}:1`, "back:1", { compression: "gzip" });
    expect(gzip.layers.map(({ mediaType }) => mediaType)).toEqual(Array<string>(2).fill(MEDIA_TYPES.ociLayerGzip));
    await unpack(context, "back:1", join(context.path, "tree"));
  });

  it("stays one where its layers become gzip", async () => {
    const context = await transferContext();
    const { root } = await convert(context, await image({ flavour: "docker", compression: "none" }), {
      compression: "gzip",
    });
    expect(root).toMatchObject({
      mediaType: MEDIA_TYPES.dockerManifest,
      layers: [{ mediaType: MEDIA_TYPES.dockerLayerGzip }, { mediaType: MEDIA_TYPES.dockerLayerGzip }],
    });
  });

  it("in a list of them takes the list along", async () => {
    const context = await transferContext();
    const images = [await image({ flavour: "docker" }), await image({ flavour: "docker", platform: ARM })];
    const { root, result } = await convert(context, buildIndex(images, { flavour: "docker" }));
    expect(jsonOf(root)).toMatchObject({
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: images.map(({ platform }) => ({ mediaType: MEDIA_TYPES.ociManifest, platform })),
    });
    expect(result.layers).toHaveLength(3);
  });
});

describe("an index", () => {
  it("keeps attestations, artifacts and what nobody knows, and points them to what is new", async () => {
    const context = await transferContext();
    const [amd64, arm64] = [await image(), await image({ platform: ARM })];
    const { attestation, entry } = await attestationOf(amd64);
    const artifact = await buildImage({
      layers: [layerOf(Buffer.from("{}"), Buffer.from("{}"), "application/spdx+json")],
      artifactType: "application/spdx+json",
      lies: { config: { mediaType: MEDIA_TYPES.ociEmpty } },
    });
    const kept = { "x.example": { deep: [1, 2] } };
    const { platform: _, ...bare } = artifact.descriptor;
    const entries = [
      { ...amd64.descriptor, ...kept, annotations: { "org.example": "yes" } },
      arm64.descriptor,
      entry,
      { ...bare, artifactType: "application/spdx+json" },
    ];
    const index = indexOver([amd64, arm64, attestation, artifact], entries, { ...kept, annotations: { a: "b" } });
    const { root, document, result } = await convert(context, index);
    const json = jsonOf(root) as { manifests: { digest: Digest; annotations?: Record<string, string> }[] };
    expect(json).toMatchObject({ ...kept, annotations: { a: "b" } });
    const [first, , third, fourth] = json.manifests;
    expect(first).toMatchObject({ ...kept, platform: amd64.platform, annotations: { "org.example": "yes" } });
    expect(first?.digest).not.toBe(amd64.digest);
    expect(third).toEqual({
      ...entry,
      annotations: {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": first?.digest,
      },
    });
    expect(fourth).toEqual(entries[3]);
    expect(await document((root as Index).manifests[1])).toMatchObject({ config: { digest: arm64.config.digest } });
    expect(result.layers.filter(({ how }) => how === "kept")).toMatchObject([
      { from: attestation.layers[0]!.descriptor.digest },
    ]);
  });

  it("within an index is converted too", async () => {
    const context = await transferContext();
    const [amd64, arm64] = [await image(), await image({ platform: ARM })];
    const inner = buildIndex([arm64]);
    await writeOciLayout(join(context.path, "from"), inner, "inner");
    const { root, document } = await convert(context, indexOver([amd64], [amd64.descriptor, inner.descriptor]));
    const { manifests } = root as Index;
    expect(manifests[1]?.digest).not.toBe(inner.digest);
    const below = (await document(manifests[1])) as Index;
    const manifest = (await document(below.manifests[0])) as Manifest;
    expect(manifest.layers.every(({ annotations }) => annotations?.[TOC] !== undefined)).toBe(true);
    expect(manifest.config.digest).toBe(arm64.config.digest);
  });

  it("of which one platform's layer is not what its config says fails, and nothing is there", async () => {
    const context = await transferContext();
    const bad = await image({ platform: ARM, lies: { layers: { 1: { diffId: digestOf("another") } } } });
    const all = convert(context, buildIndex([await image(), bad]));
    await expect(all).rejects.toMatchObject({
      code: "DIFFID_MISMATCH",
      message: expect.stringContaining(bad.layers[1]!.descriptor.digest),
    });
    expect(existsSync(join(context.path, "to", "index.json"))).toBe(false);
    const one = await convert(context, buildIndex([await image(), bad]), {
      all: false,
      platform: { os: "linux", architecture: "amd64" },
    });
    expect(one.root.kind).toBe("manifest");
  });
});

describe("layers", () => {
  it("that nobody may distribute stay as they are", async () => {
    const context = await transferContext();
    const tar = packTree([file("licensed", "x")]);
    const foreign: KitLayer = layerOf(tar, tar, MEDIA_TYPES.ociForeignLayer);
    const { root } = await convert(context, await buildImage({ layers: [foreign, [file("a", "a")]] }));
    expect(root).toMatchObject({
      layers: [foreign.descriptor, { mediaType: MEDIA_TYPES.ociLayerZstd }],
    });
  });

  it("of which no table of contents can be made become ordinary zstd, and that is said", async () => {
    const context = await transferContext();
    const twice = packTree([file("a", "1"), file("a", "2")]);
    const { root, result } = await convert(context, await buildImage({ layers: [twice, [file("b")]] }));
    const { layers } = root as Manifest;
    expect(layers.map(({ annotations }) => annotations?.[TOC] !== undefined)).toEqual([false, true]);
    const message = expect.stringMatching(/becomes ordinary zstd: it has two members of the same name/);
    expect(result.warnings).toEqual([message]);
    expect(context.events.filter(({ type }) => type === "warning")).toMatchObject([{ message }]);
    expect(result.layers.map(({ refused }) => refused).filter((why) => why !== null)).toEqual([
      "it has two members of the same name",
    ]);
  });

  it.each([
    ["LAYER_INVALID", packTree([file("a", "x".repeat(5000))]).subarray(0, 3000)],
    ["LAYER_INVALID", Buffer.alloc(2000, "no tar")],
  ])("that are no tars give %s, and nothing is there, in layouts, archives, or the store", async (code, tar) => {
    const context = await transferContext();
    const from = join(context.path, "from");
    await writeOciLayout(from, await buildImage({ layers: [[file("good", "x".repeat(4000))], tar] }), "1");
    for (const place of [`oci:${context.path}/to:1`, `oci-archive:${context.path}/to.tar:1`, "held:1"]) {
      const made = convertImage(context, `oci:${from}:1`, place, { compression: "zstd:chunked" });
      await expect(made).rejects.toMatchObject({ code });
    }
    expect((await readdir(context.path)).toSorted()).toEqual(["from", "store"]);
    expect(await context.store.images.list()).toEqual([]);
    expect(await readdir(context.store.root)).not.toContainEqual(expect.stringMatching(/^\.new-/));
  });
});
