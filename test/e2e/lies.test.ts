/**
 * Registries that hold what is not so. Every lie is found, named by its code, and leaves a store that is sound and gets the
 * honest image at once.
 */
import { existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { digestOf, type Digest } from "../../src/oci/digest.ts";
import { MEDIA_TYPES } from "../../src/oci/media-types.ts";
import { buildImage, buildIndex, type ImageOptions, type KitImage, type KitIndex } from "../kit/images/build-image.ts";
import { buildLayer, layerOf } from "../kit/images/build-layer.ts";
import { packTree } from "../kit/images/pack-tree.ts";
import { pushImage } from "../kit/images/push-image.ts";
import { createRng } from "../kit/images/rng.ts";
import { startRegistry, type KitRegistry } from "../kit/registry/registry.ts";
import { expectedTree } from "../kit/trees/expected-tree.ts";
import { diffTrees } from "../kit/trees/diff-trees.ts";
import { readTree } from "../kit/trees/read-tree.ts";
import { file } from "../kit/trees/tree-node.ts";
import { newMachine } from "./machine.ts";
import { sampleLayers } from "./samples.ts";
import { storeFaults } from "./store-health.ts";

const GIB = 1 << 30;
const OTHER = digestOf("other");

let honest: KitRegistry;
beforeAll(async () => {
  honest = await startRegistry();
  await pushImage(honest.host, "app", "1", await buildImage({ layers: sampleLayers() }));
});
afterAll(() => honest.close());

/** A registry that takes anything, and holds this image as app:1. */
async function startLiar(image: Made): Promise<KitRegistry> {
  const liar = await startRegistry({ quirks: { credulous: true, manifestLimit: 16 << 20 } });
  await pushImage(liar.host, "app", "1", image);
  return liar;
}

type Lies = NonNullable<ImageOptions["lies"]>;
type Made = KitImage | KitIndex;
interface Row {
  readonly name: string;
  readonly image: () => Promise<Made>;
  readonly code: string;
  readonly exit: number;
  /** What the message must say. */
  readonly says?: RegExp;
}

const lie = (name: string, code: string, exit: number, lies: (size: number) => Lies, says?: RegExp): Row => ({
  name,
  code,
  exit,
  ...(says !== undefined && { says }),
  async image() {
    const layers = await Promise.all(sampleLayers().map((layer) => buildLayer(layer)));
    return buildImage({ layers, lies: lies(layers[1]?.bytes.length ?? 0) });
  },
});

const broken = (name: string, code: string, type: string, tamper: (tar: Buffer) => Buffer): Row => ({
  name,
  code,
  exit: 1,
  async image() {
    const tar = packTree([file("f", createRng(1).text(300_000))]);
    const [base = []] = sampleLayers();
    return buildImage({ layers: [base, layerOf(tar, tamper(tar), type)] });
  },
});

const document = (name: string, code: string, bytes: string, mediaType: string = MEDIA_TYPES.ociManifest): Row => ({
  name,
  code,
  exit: 1,
  async image() {
    const image = await buildImage({ layers: [] });
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    return { ...image, bytes: Buffer.from(bytes), digest: descriptor.digest, descriptor };
  },
});

const short = (bytes: Buffer): Buffer => bytes.subarray(0, bytes.length - 200);
const ROWS: readonly Row[] = [
  lie("a layer larger than its manifest says", "SIZE_MISMATCH", 5, (size) => ({ layers: { 1: { size: size - 100 } } })),
  lie("a layer smaller than its manifest says", "SIZE_MISMATCH", 5, (size) => ({ layers: { 1: { size: size + 9 } } })),
  lie("a layer said to have no byte", "DIGEST_MISMATCH", 5, () => ({ layers: { 1: { size: 0 } } })),
  lie("a layer said to have a gigabyte", "SIZE_MISMATCH", 5, () => ({ layers: { 1: { size: GIB } } })),
  lie("a layer with a flipped bit", "DIGEST_MISMATCH", 5, () => ({ layers: { 1: { corrupt: true } } })),
  lie("a layer under another digest", "DIGEST_MISMATCH", 5, () => ({ layers: { 0: { digest: OTHER } } })),
  lie(
    "a layer of another DiffID",
    "DIFFID_MISMATCH",
    5,
    () => ({ layers: { 2: { diffId: OTHER } } }),
    /its config says/,
  ),
  lie("a layer that is not there", "BLOB_UNKNOWN", 3, () => ({ layers: { 1: { absent: true } } })),
  lie("a layer of an unknown type", "MEDIA_TYPE_UNSUPPORTED", 1, () => ({ layers: { 0: { mediaType: "text/x" } } })),
  lie("more layers than DiffIDs", "MANIFEST_INVALID", 1, () => ({
    extraLayers: [{ mediaType: MEDIA_TYPES.ociLayer, digest: OTHER, size: 5 }],
  })),
  lie("more DiffIDs than layers", "MANIFEST_INVALID", 1, () => ({ extraDiffIds: [OTHER] })),
  lie("a config with a flipped bit", "DIGEST_MISMATCH", 5, () => ({ config: { corrupt: true } })),
  lie("a config larger than said", "SIZE_MISMATCH", 5, () => ({ config: { size: 10 } })),
  lie("a config smaller than said", "SIZE_MISMATCH", 5, () => ({ config: { size: 100_000 } })),
  lie("a config of a gigabyte", "MANIFEST_TOO_LARGE", 1, () => ({ config: { size: GIB } })),
  lie("a config that is not there", "BLOB_UNKNOWN", 3, () => ({ config: { absent: true } })),
  lie("a config without a root file system", "CONFIG_INVALID", 1, () => ({ configDocument: { rootfs: null } })),
  lie("a config of strange DiffIDs", "CONFIG_INVALID", 1, () => ({
    configDocument: { rootfs: { type: "layers", diff_ids: ["../../etc/passwd", 7] } },
  })),
  lie("a manifest of a negative size", "MANIFEST_INVALID", 1, () => ({ layers: { 0: { size: -5 } } })),
  lie("a manifest of a fractional size", "MANIFEST_INVALID", 1, () => ({ layers: { 0: { size: 1.5 } } })),
  lie("a manifest that leads out of the store", "MANIFEST_INVALID", 1, () => ({
    layers: { 0: { digest: "sha256:../../../etc/passwd" as Digest, absent: true } },
  })),
  lie("a manifest that is an index as well", "MANIFEST_INVALID", 1, () => ({ manifest: { manifests: [] } })),
  lie("a manifest of 5 MiB", "MANIFEST_TOO_LARGE", 1, () => ({ manifestBytes: 5 << 20 })),
  lie("a manifest that says to be something else", "MANIFEST_INVALID", 1, () => ({
    manifest: { mediaType: "text/x" },
  })),
  document("a manifest that is no JSON", "MANIFEST_INVALID", "<html>come in</html>"),
  document("a manifest that is cut off", "MANIFEST_INVALID", '{"schemaVersion":2,"config":{'),
  document("a manifest of two configs", "MANIFEST_INVALID", '{"schemaVersion":2,"config":{},"config":{},"layers":[]}'),
  document("a manifest nested too deep", "MANIFEST_INVALID", `{"a":${"[".repeat(5000)}${"]".repeat(5000)}}`),
  document(
    "a manifest of schema 1",
    "MANIFEST_UNSUPPORTED",
    '{"schemaVersion":1,"name":"app","tag":"1","architecture":"amd64","fsLayers":[],"history":[],"signatures":[]}',
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
  ),
  broken("gzip that is cut short, under its right digest", "COMPRESSION_INVALID", MEDIA_TYPES.ociLayerGzip, (tar) =>
    short(gzipSync(tar)),
  ),
  broken("gzip with something behind it", "COMPRESSION_INVALID", MEDIA_TYPES.ociLayerGzip, (tar) =>
    Buffer.concat([gzipSync(tar), Buffer.from("something else")]),
  ),
  broken("zstd that is cut short", "COMPRESSION_INVALID", MEDIA_TYPES.ociLayerZstd, (tar) =>
    short(zstdCompressSync(tar)),
  ),
  broken("a layer that is no tar", "LAYER_INVALID", MEDIA_TYPES.ociLayer, () => Buffer.alloc(5000, "no tar ")),
  broken("a compressed layer that is no tar", "LAYER_INVALID", MEDIA_TYPES.ociLayerGzip, () =>
    gzipSync(Buffer.alloc(5000, "no tar ")),
  ),
  broken("a tar that is cut off in a file", "LAYER_INVALID", MEDIA_TYPES.ociLayer, (tar) => tar.subarray(0, 100_000)),
  {
    name: "a layer that is listed twice, as two things",
    code: "DIFFID_MISMATCH",
    exit: 5,
    async image() {
      const layer = await buildLayer([file("f")]);
      return buildImage({ layers: [layer, layer], lies: { layers: { 1: { diffId: OTHER } } } });
    },
  },
  {
    name: "a layer that the manifest carries, and that is another",
    code: "DIGEST_MISMATCH",
    exit: 5,
    async image() {
      const layer = await buildLayer([file("f", "x".repeat(100))]);
      const data = Buffer.alloc(layer.bytes.length, "x").toString("base64");
      return buildImage({ layers: [layer], lies: { manifest: { layers: [{ ...layer.descriptor, data }] } } });
    },
  },
  {
    name: "an index whose manifest is another",
    code: "DIGEST_MISMATCH",
    exit: 5,
    async image() {
      const image = await buildImage({ layers: sampleLayers() });
      const claimed = { ...image, digest: OTHER, descriptor: { ...image.descriptor, digest: OTHER } };
      return buildIndex([claimed]);
    },
  },
  {
    name: "an index of nothing",
    code: "PLATFORM_NOT_FOUND",
    exit: 3,
    image: () => Promise.resolve(buildIndex([])),
  },
];

describe("pulling", () => {
  it.each(ROWS)("$name is $code", async ({ image, code, exit, says = /./ }) => {
    await using machine = await newMachine();
    await using liar = await startLiar(await image());
    const pull = ["pull", "--platform", "linux/amd64", "--retries", "0"];
    const error = await machine.fails(...pull, `${liar.host}/app:1`);
    expect(error).toEqual({ code, exit, message: expect.stringMatching(says), hint: expect.stringMatching(/.{10}/) });
    expect(error.message).toContain(code === "PLATFORM_NOT_FOUND" ? "app:1" : "");
    expect(await machine.images()).toEqual([]);
    expect(await storeFaults(machine.root)).toEqual([]);
    expect(await machine.pull(`${honest.host}/app:1`)).toMatchObject({ status: "pulled" });
    expect(await machine.images()).toHaveLength(1);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("of one bad layer among good ones keeps the good ones for the next try", async () => {
    await using machine = await newMachine();
    // The smallest comes last.
    const members = [...sampleLayers(), [file("small")]];
    const layers = await Promise.all(members.map((layer) => buildLayer(layer)));
    await using liar = await startLiar(await buildImage({ layers, lies: { layers: { 3: { corrupt: true } } } }));
    expect(await machine.fails("pull", "-j", "1", `${liar.host}/app:1`)).toMatchObject({ code: "DIGEST_MISMATCH" });
    const { layers: then } = await machine.pull(`${honest.host}/app:1`);
    expect(then.filter(({ how }) => how === "present").length).toBeGreaterThan(0);
    expect(await storeFaults(machine.root)).toEqual([]);
  });

  it("believes the bytes and not the media type about how a layer is compressed", async () => {
    await using machine = await newMachine();
    const gzip = await buildLayer(sampleLayers()[0] ?? []);
    const zstd = await buildLayer(sampleLayers()[1] ?? [], { compression: "zstd" });
    const plain = await buildLayer(sampleLayers()[2] ?? [], { compression: "none" });
    const layers = {
      0: { mediaType: MEDIA_TYPES.ociLayer },
      1: { mediaType: MEDIA_TYPES.ociLayerGzip },
      2: { mediaType: MEDIA_TYPES.ociLayerZstd },
    };
    const image = await buildImage({ layers: [gzip, zstd, plain], lies: { layers } });
    await using liar = await startLiar(image);
    await machine.pull(`${liar.host}/app:1`);
    const tree = join(machine.path, "tree");
    await machine.ok("unpack", `${liar.host}/app:1`, tree);
    expect(diffTrees(expectedTree(sampleLayers()), await readTree(tree), { root: false })).toEqual([]);
  });
});

describe("unpacking", () => {
  const unappliable = (): Promise<KitImage> =>
    buildImage({ layers: [...sampleLayers(), [file("srv/app/below", "a file is no directory")]] });

  it("takes away what it made when a layer cannot be applied", async () => {
    await using machine = await newMachine();
    await using liar = await startLiar(await unappliable());
    // A pull that unpacks finds it out itself.
    expect(await machine.fails("pull", `${liar.host}/app:1`)).toMatchObject({ code: "LAYER_INVALID" });
    await machine.pull("--snapshotter", "none", `${liar.host}/app:1`);
    const fresh = join(machine.path, "new", "below");
    expect(await machine.fails("unpack", `${liar.host}/app:1`, fresh)).toMatchObject({
      code: "LAYER_INVALID",
      exit: 1,
    });
    expect(existsSync(fresh)).toBe(false);
    const there = join(machine.path, "there");
    await mkdir(there);
    expect(await machine.fails("unpack", "--bundle", `${liar.host}/app:1`, there)).toMatchObject({ exit: 1 });
    expect(await readdir(there)).toEqual([]);
    await machine.pull(`${honest.host}/app:1`);
    await machine.ok("unpack", `${honest.host}/app:1`, there);
  });

  it("notices content that changed in the store", async () => {
    await using machine = await newMachine();
    const { layers } = await machine.pull(`${honest.host}/app:1`);
    const path = join(machine.root, "blobs", (layers[1]?.digest ?? "").replace(":", "/"));
    const bytes = await readFile(path);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await chmod(path, 0o600);
    await writeFile(path, bytes);
    const tree = join(machine.path, "tree");
    const error = await machine.fails("unpack", `${honest.host}/app:1`, tree);
    expect(error).toMatchObject({ code: "DIGEST_MISMATCH", exit: 5, hint: expect.stringContaining("fsck") });
    expect(existsSync(tree)).toBe(false);
    expect(await machine.images()).toHaveLength(1);
  });
});
