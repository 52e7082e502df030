/** Manifests of virtual machines: those of all times are understood, and none is believed that contradicts itself. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isVarveError } from "../../errors/varve-error.ts";
import type { Descriptor } from "../../oci/descriptor.ts";
import { digestHex, digestOf } from "../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../oci/manifest.ts";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import type { ChunkedDisk, DiskImage } from "./disk-image.ts";
import { LUME_TYPES, TART_ANNOTATIONS, TART_TYPES, VETU_TYPES } from "./names.ts";
import { readDiskImage } from "./read-disk-image.ts";

type Annotations = Record<string, string>;

const layer = (mediaType: string, name: string, size: number, annotations?: Annotations): Descriptor => ({
  mediaType,
  digest: digestOf(name),
  size,
  ...(annotations !== undefined && { annotations }),
});
const config = layer(TART_TYPES.config, "config", 300, {});
const nvram = layer(TART_TYPES.nvram, "nvram", 100);

/** A chunk whose blob is a quarter of it. */
function chunk(name: string, size: number, more: Annotations = {}, mediaType: string = TART_TYPES.disk): Descriptor {
  const own = { [TART_ANNOTATIONS.size]: String(size), [TART_ANNOTATIONS.digest]: digestOf(`content ${name}`) };
  return layer(mediaType, name, Math.ceil(size / 4), { ...own, ...more });
}
const overlay = (name: string, more: Annotations = {}): Descriptor => chunk(name, 1000, more, TART_TYPES.overlay);
const headOf = (file: string, chunks?: number | string): Annotations => ({
  [TART_ANNOTATIONS.fileDigest]: digestOf(file),
  ...(chunks !== undefined && { [TART_ANNOTATIONS.fileChunks]: String(chunks) }),
});

function read(layers: readonly Descriptor[], annotations: Annotations = {}, own?: Descriptor): DiskImage | undefined {
  const stub = own ?? layer(MEDIA_TYPES.ociConfig, "stub", 10);
  const document = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config: stub, layers, annotations };
  return readDiskImage(parseManifest(Buffer.from(JSON.stringify(document))) as Manifest);
}

const tart = (...disks: Descriptor[]): Descriptor[] => [config, ...disks, nvram];
const places = (disk: unknown): number[][] => (disk as ChunkedDisk).chunks.map(({ offset, size }) => [offset, size]);

describe("Tart's manifests", () => {
  it.each([
    ["cut at 500 MB compressed", [731_234_567, 523_000_111, 12_345]],
    ["cut at 500 MB", [500_000_000, 500_000_000, 3]],
    ["cut at 512 MiB", [536_870_912, 536_870_912, 536_870_911]],
  ])("have disks of any chunks: %s", (_, sizes) => {
    const image = read(tart(...sizes.map((size, at) => chunk(`chunk ${at}`, size))), {
      [TART_ANNOTATIONS.diskSize]: "50000000000",
      [TART_ANNOTATIONS.uploadTime]: "2024-05-01T00:00:00Z",
    });
    expect(image).toMatchObject({ format: "tart", config, nvram, stacked: false, canonical: true });
    expect(image).toMatchObject({ statedSize: 50_000_000_000, uploadTime: "2024-05-01T00:00:00Z" });
    const [first = 0, second = 0, third = 0] = sizes;
    expect(places(image?.disks[0])).toEqual([
      [0, first],
      [first, second],
      [first + second, third],
    ]);
    expect(image?.disks[0]).toMatchObject({ name: "disk.img", size: first + second + third });
  });

  it("may have one chunk at many offsets", () => {
    const image = read(tart(chunk("zeros", 1000), chunk("a", 500), chunk("zeros", 1000), chunk("zeros", 1000)));
    expect(places(image?.disks[0]).map(([offset]) => offset)).toEqual([0, 1000, 1500, 2500]);
  });

  it("of before have layers in any order, which Tart takes no longer", () => {
    const image = read([chunk("a", 10), nvram, chunk("b", 20), config]);
    expect(image).toMatchObject({ canonical: false, config, nvram });
    expect(places(image?.disks[0])).toEqual([
      [0, 10],
      [10, 20],
    ]);
  });

  it("of version 1 are one stream", () => {
    const blobs = ["a", "b"].map((name) => layer(TART_TYPES.diskV1, name, 500_000_000));
    const image = read(tart(...blobs));
    expect(image?.disks).toEqual([{ kind: "stream", name: "disk.img", blobs }]);
    expect(image?.canonical).toBe(false);
  });

  it("may have a stack of disks", () => {
    const layers = tart(
      chunk("a", 1000, headOf("base")),
      chunk("b", 500),
      overlay("c", headOf("first overlay", 2)),
      overlay("d"),
      overlay("e", headOf("second overlay", 1)),
    );
    const image = read(layers, { [TART_ANNOTATIONS.blockSize]: "512" });
    expect(image).toMatchObject({ stacked: true, canonical: true, blockSize: 512 });
    expect(image?.disks).toMatchObject([
      { name: digestHex(digestOf("base")), digest: digestOf("base"), size: 1500 },
      { name: digestHex(digestOf("first overlay")), digest: digestOf("first overlay"), size: 2000 },
      { name: digestHex(digestOf("second overlay")), digest: digestOf("second overlay"), size: 1000 },
    ]);
    expect(places(image?.disks[1])).toEqual([
      [0, 1000],
      [1000, 1000],
    ]);
  });

  const sized = (size: string, name = "a"): Descriptor => chunk(name, 1000, { [TART_ANNOTATIONS.size]: size });
  const without = (key: string): Descriptor => {
    const { annotations = {}, ...rest } = chunk("a", 1000);
    return { ...rest, annotations: Object.fromEntries(Object.entries(annotations).filter(([name]) => name !== key)) };
  };
  const stack = (...overlays: Descriptor[]): Descriptor[] => tart(chunk("a", 1000, headOf("base")), ...overlays);

  it.each<[string, Descriptor[], RegExp]>([
    ["no config", [chunk("a", 1), nvram], /no layer of type .*config/],
    ["two configs", [config, ...tart(chunk("a", 1))], /several layers of type .*config/],
    ["no NVRAM", [config, chunk("a", 1)], /no layer of type .*nvram/],
    ["two NVRAMs", [...tart(chunk("a", 1)), nvram], /several layers of type .*nvram/],
    ["no disk", tart(), /has no disk/],
    ["disks of both versions", tart(chunk("a", 1), layer(TART_TYPES.diskV1, "b", 10)), /mixes/],
    ["no size", tart(without(TART_ANNOTATIONS.size)), /uncompressed-size is nothing/],
    ["no digest", tart(without(TART_ANNOTATIONS.digest)), /content-digest is nothing/],
    ["a negative size", tart(sized("-1")), /is "-1"/],
    ["a size with a plus", tart(sized("+1000")), /is "\+1000"/],
    ["a size in hex", tart(sized("0x10")), /is "0x10"/],
    ["a size with a fraction", tart(sized("1e3")), /is "1e3"/],
    ["a size beyond 2^53", tart(sized("9007199254740993")), /is "9007199254740993"/],
    ["a size beyond 2^64", tart(sized("18446744073709551617")), /is "18446744073709551617"/],
    ["a digest that is none", tart(chunk("a", 9, { [TART_ANNOTATIONS.digest]: "sha256:0" })), /is "sha256:0"/],
    ["more than its blob can hold", tart(sized("64001")), /250 bytes of .* hold 64001/],
    [
      "a sum beyond 2^53",
      tart({ ...sized("9007199254740991"), size: 2 ** 50 }, { ...sized("9007199254740991", "b"), size: 2 ** 50 }),
      /larger than any/,
    ],
    ["a blob of two sizes", tart(chunk("a", 8), { ...chunk("a", 8), size: 5 }), /contradicts itself/],
    ["a blob of two contents", tart(chunk("a", 8), sized("9")), /contradicts itself/],
    [
      "a content of two sizes",
      tart(chunk("a", 8), chunk("b", 9, { [TART_ANNOTATIONS.digest]: digestOf("content a") })),
      /contradicts itself/,
    ],
    [
      "too many chunks",
      tart(...Array.from({ length: 16_385 }, () => layer(TART_TYPES.diskV1, "a", 4))),
      /more than 16384 chunks/,
    ],
    ["a chunk count for the base", tart(chunk("a", 1, headOf("a", 1))), /only overlays/],
    ["a digest of the file in the middle", tart(chunk("a", 1), chunk("b", 1, headOf("a"))), /no disk's first/],
    [
      "a stack without the base's digest",
      tart(chunk("a", 1), overlay("b", headOf("b", 1))),
      /lacks the digest of the base/,
    ],
    ["a stack without a base", tart(overlay("b", headOf("b", 1))), /has no disk/],
    ["an overlay without a digest", stack(overlay("b")), /file-content-digest is nothing/],
    ["an overlay without a count", stack(overlay("b", headOf("b"))), /chunk-count is nothing/],
    ["an overlay of no chunks", stack(overlay("b", headOf("b", 0))), /has 0 chunks/],
    [
      "an overlay of more chunks than there are",
      stack(overlay("b", headOf("b", 3)), overlay("c")),
      /has 3 chunks, where 2/,
    ],
    ["an overlay of a negative number", stack(overlay("b", headOf("b", "-1"))), /is "-1"/],
    ["overlays that are mixed up", stack(overlay("b", headOf("b", 2)), chunk("c", 1)), /chunks of other disks/],
    [
      "a base behind an overlay",
      stack(overlay("b", headOf("b", 1)), chunk("c", 1)),
      /file-content-digest is nothing|chunks of other/,
    ],
    ["an overlay within another", stack(overlay("b", headOf("b", 2)), overlay("c", headOf("c", 1))), /no disk's first/],
    [
      "a stack whose config is elsewhere",
      [chunk("a", 1, headOf("a")), overlay("b", headOf("b", 1)), config, nvram],
      /elsewhere than around/,
    ],
  ])("are refused: %s", (_, layers, message) => {
    const refused = { code: "MANIFEST_INVALID", message: expect.stringMatching(message) as string };
    expect(() => read(layers)).toThrow(expect.objectContaining(refused));
  });

  it("are refused where there may be more of the disk", () => {
    const layers = tart(chunk("a", 1), layer("application/vnd.cirruslabs.tart.disk.v3", "b", 1));
    expect(() => read(layers)).toThrow(expect.objectContaining({ code: "MEDIA_TYPE_UNSUPPORTED" }));
  });

  it("make a disk without gaps, or nothing, whatever is in them", () => {
    const types = [...Object.values(TART_TYPES), LUME_TYPES.disk];
    const counts = fc.oneof(
      fc.constantFrom("0", "1", "7", "100", "-1", "99999999999999999", "9007199254740991", "x"),
      fc.nat().map(String),
    );
    const any = fc.record({
      mediaType: fc.constantFrom(...types),
      digest: fc.nat({ max: 3 }).map((n) => digestOf(`blob ${n}`)),
      size: fc.nat({ max: 9 }),
      annotations: fc.dictionary(
        fc.constantFrom(...Object.values(TART_ANNOTATIONS)),
        fc.oneof(
          counts,
          fc.nat({ max: 3 }).map((n) => digestOf(`content ${n}`)),
        ),
      ),
    });
    fc.assert(
      fc.property(fc.array(any, { maxLength: 6 }), fc.boolean(), (layers, framed) => {
        try {
          for (const disk of read(framed ? tart(...layers) : layers)?.disks ?? []) {
            if (disk.kind === "stream") continue;
            const end = disk.chunks.reduce((at, { offset, size }) => (expect(offset).toBe(at), at + size), 0);
            expect(disk.size).toBe(end);
          }
        } catch (error) {
          expect(isVarveError(error, "MANIFEST_INVALID") || isVarveError(error, "MEDIA_TYPE_UNSUPPORTED")).toBe(true);
        }
      }),
      { numRuns: 400 },
    );
  });
});

describe("other people's manifests", () => {
  const vetuDisk = (name: string, disk: string, size: number, digest?: string): Descriptor =>
    layer(VETU_TYPES.disk, name, size, {
      "org.cirruslabs.vetu.name": disk,
      "org.cirruslabs.vetu.uncompressed-size": String(size),
      ...(digest !== undefined && { "org.cirruslabs.vetu.uncompressed-digest": digest }),
    });
  const vetu = (...disks: Descriptor[]): Descriptor[] => [
    layer(VETU_TYPES.config, "config", 1),
    layer(VETU_TYPES.kernel, "kernel", 1),
    layer(VETU_TYPES.initramfs, "initramfs", 1),
    ...disks,
  ];

  it("are vetu's, with several disks", () => {
    const image = read(
      vetu(vetuDisk("a", "root.img", 100, digestOf("x")), vetuDisk("b", "data.img", 5), vetuDisk("c", "root.img", 7)),
    );
    expect(image).toMatchObject({ format: "vetu", initramfs: { digest: digestOf("initramfs") }, canonical: false });
    expect(image?.disks).toMatchObject([
      { name: "root.img", size: 107, chunks: [{ coding: "lz4-frames", digest: digestOf("x") }, { offset: 100 }] },
      { name: "data.img", size: 5 },
    ]);
  });

  it.each(["", "..", "../x", "a/b", ".hidden", "config.json", "kernel", "a\0b", "x".repeat(200)])(
    "are refused when they call a disk %j",
    (name) => {
      expect(() => read(vetu(vetuDisk("a", name, 5)))).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
    },
  );

  const lumeConfig = layer(LUME_TYPES.config, "config", 10);
  const lumePart = (name: string, size: number, offset?: number): Descriptor =>
    layer(LUME_TYPES.disk, name, size, {
      "org.trycua.lume.content.uncompressed-size": String(size),
      "org.trycua.lume.content.uncompressed-digest": digestOf(name),
      ...(offset !== undefined && { "org.trycua.lume.part.offset": String(offset) }),
    });
  const lumeNvram = layer(LUME_TYPES.nvram, "nvram", 10);

  it("are lume's, in one layer or in parts that say where they lie", () => {
    const whole = read([lumeNvram, lumePart("a", 100)], {}, lumeConfig);
    expect(whole).toMatchObject({ format: "lume", config: lumeConfig, nvram: lumeNvram });
    expect(whole?.disks).toMatchObject([{ name: "disk.img", size: 100, chunks: [{ coding: "gzip" }] }]);
    const parts = read([lumeNvram, lumePart("b", 50, 100), lumePart("a", 100, 0)], {}, lumeConfig);
    expect(places(parts?.disks[0])).toEqual([
      [0, 100],
      [100, 50],
    ]);
    for (const broken of [
      [lumePart("a", 100, 0), lumePart("b", 50, 99)],
      [lumePart("a", 1, 0), lumePart("b", 5, 2)],
    ]) {
      expect(() => read([lumeNvram, ...broken], {}, lumeConfig)).toThrow(/overlap, or lacks/);
    }
  });

  it("are those of early versions of lume", () => {
    const early = (name: string, size: number): Descriptor =>
      layer(LUME_TYPES.earlyChunk, name, size, { "org.trycua.lume.uncompressed-size": String(size) });
    const own = layer(MEDIA_TYPES.ociConfig, "own", 10);
    const plain = layer("application/octet-stream", "nvram", 10);
    const image = read([own, early("a", 10), early("b", 5), plain], {}, own);
    expect(image).toMatchObject({ format: "lume", config: own, nvram: plain });
    expect(image?.disks).toMatchObject([{ size: 15, chunks: [{ coding: "apple-lz4" }, { offset: 10 }] }]);
    const cut = (number: number, total: number): Descriptor =>
      layer(`${LUME_TYPES.earlyPart};part.number=${number};part.total=${total}`, `part ${number}`, 10);
    expect(read([cut(2, 2), own, cut(1, 2)], {}, own)?.disks).toMatchObject([
      { size: 20, chunks: [{ coding: "stored", digest: digestOf("part 1") }, { digest: digestOf("part 2") }] },
    ]);
    expect(() => read([cut(1, 3), cut(3, 3)], {}, own)).toThrow(/twice, or lacks some/);
  });

  it("are left alone when they are of images", () => {
    expect(read([layer(MEDIA_TYPES.ociLayerGzip, "a", 10)])).toBeUndefined();
    expect(read([])).toBeUndefined();
  });
});
