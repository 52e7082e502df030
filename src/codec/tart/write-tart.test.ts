/** The documents are those that Tart takes, byte for byte, and say the same when they are read. */
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../oci/manifest.ts";
import { foundationJson, type FoundationValue } from "./foundation-json.ts";
import { readDiskImage } from "./read-disk-image.ts";
import { linuxVmConfig, parseVmConfig } from "./vm-config.ts";
import { TART_CHUNK_BYTES, tartConfig, tartManifest, type ChunkBlob, type TartManifestParts } from "./write-tart.ts";

const hex = (digit: string): string => digit.repeat(64);
const blob = (name: string, size: number) => ({ digest: digestOf(name), size });
const chunk = (name: string, size: number, raw: number): ChunkBlob => ({
  ...blob(name, size),
  content: blob(`content of ${name}`, raw),
});

const parts: TartManifestParts = {
  config: { digest: `sha256:${hex("0")}` as TartManifestParts["config"]["digest"], size: 120 },
  vmConfig: { digest: `sha256:${hex("1")}` as TartManifestParts["config"]["digest"], size: 300 },
  chunks: [
    {
      digest: `sha256:${hex("2")}` as TartManifestParts["config"]["digest"],
      size: 400_000_000,
      content: { digest: `sha256:${hex("3")}` as TartManifestParts["config"]["digest"], size: TART_CHUNK_BYTES },
    },
  ],
  nvram: { digest: `sha256:${hex("4")}` as TartManifestParts["config"]["digest"], size: 33_554_432 },
  uploadTime: new Date("2026-08-18T07:16:00.999Z"),
};

describe("tartManifest", () => {
  it("has Tart's order, types, annotations and spelling", () => {
    expect(tartManifest(parts).toString()).toBe(
      [
        String.raw`{"annotations":{"org.cirruslabs.tart.uncompressed-disk-size":"536870912","org.cirruslabs.tart.upload-time":"2026-08-18T07:16:00Z"},`,
        String.raw`"config":{"digest":"sha256:${hex("0")}","mediaType":"application\/vnd.oci.image.config.v1+json","size":120},`,
        String.raw`"layers":[{"annotations":{},"digest":"sha256:${hex("1")}","mediaType":"application\/vnd.cirruslabs.tart.config.v1","size":300},`,
        String.raw`{"annotations":{"org.cirruslabs.tart.uncompressed-content-digest":"sha256:${hex("3")}","org.cirruslabs.tart.uncompressed-size":"536870912"},`,
        String.raw`"digest":"sha256:${hex("2")}","mediaType":"application\/vnd.cirruslabs.tart.disk.v2","size":400000000},`,
        String.raw`{"annotations":{},"digest":"sha256:${hex("4")}","mediaType":"application\/vnd.cirruslabs.tart.nvram.v1","size":33554432}],`,
        String.raw`"mediaType":"application\/vnd.oci.image.manifest.v1+json","schemaVersion":2}`,
      ].join(""),
    );
  });

  it("comes back as it was", () => {
    const count = fc.integer({ min: 1, max: 600_000_000 });
    fc.assert(
      fc.property(fc.array(fc.tuple(count, fc.nat()), { minLength: 1, maxLength: 40 }), (sizes) => {
        const chunks = sizes.map(([raw, extra], at) => chunk(`chunk ${at}`, Math.ceil(raw / 250) + extra, raw));
        const image = readDiskImage(parseManifest(tartManifest({ ...parts, chunks })) as Manifest);
        const total = sizes.reduce((sum, [raw]) => sum + raw, 0);
        expect(image).toMatchObject({ format: "tart", stacked: false, canonical: true, statedSize: total });
        const [disk] = image?.disks ?? [];
        expect(disk).toMatchObject({ kind: "chunks", name: "disk.img", size: total });
        if (disk?.kind !== "chunks") return;
        let at = 0;
        for (const [index, { blob: one, offset, size, digest }] of disk.chunks.entries()) {
          const { content, ...own } = chunks[index]!;
          expect({ offset, size, digest }).toEqual({ offset: at, ...content });
          expect(one).toMatchObject(own);
          at += size;
        }
      }),
      { numRuns: 50 },
    );
  });

  it("is refused where Tart would refuse it, and where registries would", () => {
    expect(() => tartManifest({ ...parts, chunks: [] })).toThrow(expect.objectContaining({ code: "USAGE" }));
    const chunks = Array.from({ length: 13_000 }, (_, at) => chunk(`chunk ${at}`, 1 << 20, 1 << 20));
    const tooLarge = expect.objectContaining({ code: "MANIFEST_TOO_LARGE", hint: "cut the disk into larger chunks" });
    expect(() => tartManifest({ ...parts, chunks })).toThrow(tooLarge);
  });
});

describe("the other documents", () => {
  it("are Tart's", () => {
    const labels = { "org.example/b": "2", a: "ü\n" };
    expect(tartConfig({ os: "darwin", architecture: "arm64", diskFormat: "raw", labels }).toString()).toBe(
      String.raw`{"architecture":"arm64","config":{"Labels":{"a":"ü\n","org.cirruslabs.tart.disk.format":"raw","org.example\/b":"2"}},"os":"darwin"}`,
    );
  });

  it("tell what a machine has", () => {
    const config = {
      architecture: "amd64",
      cpuCount: 2,
      cpuCountMin: 1,
      memorySize: 2 ** 33,
      memorySizeMin: 2 ** 31,
      macAddress: "7a:65:e4:3f:b2:01",
      display: { width: 800, height: 600, unit: "px" },
      diskFormat: "raw",
    } as const;
    expect(parseVmConfig(linuxVmConfig(config))).toEqual({ os: "linux", ...config });
    const { display: _, ...plain } = config;
    expect(parseVmConfig(linuxVmConfig(plain)).display).toEqual({ width: 1024, height: 768 });
  });

  it("may leave out what early machines did not have", () => {
    const early = `{"version":1,"ecid":"AA==","hardwareModel":"AA==","cpuCountMin":4,"cpuCount":4,"memorySizeMin":4294967296,
      "memorySize":4294967296,"macAddress":"7A:65:E4:3F:B2:1","display":{"width":1,"height":2}}`;
    expect(parseVmConfig(Buffer.from(early))).toMatchObject({ os: "darwin", architecture: "arm64", diskFormat: "raw" });
  });

  it.each([
    ["no JSON", "{"],
    ["another version", `{"version":2}`],
    ["no address", `{"version":1}`],
    ["an address that is none", `{"version":1,"macAddress":"x"}`],
    ["negative sizes", `{"version":1,"macAddress":"0:0:0:0:0:0","cpuCount":-1}`],
    ["another system", `{"version":1,"macAddress":"0:0:0:0:0:0","os":"beos"}`],
    [
      "a display that is none",
      `{"version":1,"macAddress":"0:0:0:0:0:0","cpuCount":1,"cpuCountMin":1,"memorySize":1,"memorySizeMin":1,"display":4}`,
    ],
  ])("are refused: %s", (_, text) => {
    expect(() => parseVmConfig(Buffer.from(text))).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });

  it("are JSON", () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string({ unit: "grapheme" }), fc.oneof(fc.string({ unit: "grapheme" }), fc.integer())),
        (value) => {
          expect(JSON.parse(foundationJson(value as FoundationValue))).toEqual(JSON.parse(JSON.stringify(value)));
        },
      ),
      { numRuns: 100 },
    );
  });
});
