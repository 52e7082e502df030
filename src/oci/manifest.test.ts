import { describe, expect, it } from "vitest";
import { digestOf } from "./digest.ts";
import { MAX_DOCUMENT_BYTES, parseManifest } from "./manifest.ts";
import { ACCEPT_MANIFESTS, isLayerType, layerCompression, MEDIA_TYPES, stripParameters } from "./media-types.ts";

const layer = { mediaType: MEDIA_TYPES.ociLayerGzip, digest: digestOf("layer"), size: 5 };
const config = { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf("config"), size: 6 };
const manifest = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [layer] };
const image = { mediaType: MEDIA_TYPES.ociManifest, digest: digestOf("image"), size: 7 };
const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [image] };

const bytesOf = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
const without = (value: object, name: string): object => ({ ...value, [name]: undefined });

describe("manifests and indexes", () => {
  it("keeps the bytes as they came and names them by their digest", () => {
    const bytes = Buffer.from(JSON.stringify(manifest, null, 3) + "\n");
    const parsed = parseManifest(bytes, { contentType: `${MEDIA_TYPES.ociManifest}; charset=utf-8` });
    expect(parsed).toMatchObject({ kind: "manifest", digest: digestOf(bytes), mediaType: MEDIA_TYPES.ociManifest });
    expect(parsed.bytes).toBe(bytes);
    expect(parsed).toMatchObject({ config, layers: [layer] });
  });

  it("reads all that an index says", () => {
    const platform = { architecture: "arm", os: "linux", variant: "v7", "os.version": "1", "os.features": ["x"] };
    const full = { ...image, platform, annotations: { a: "b" }, urls: ["https://example.com"], artifactType: "x/y" };
    const bytes = bytesOf({
      ...index,
      manifests: [full],
      annotations: { c: "d" },
      subject: image,
      artifactType: "t/u",
    });
    const expected = { digest: digestOf(bytes, "sha512"), size: bytes.length };
    expect(parseManifest(bytes, { expected })).toEqual({
      kind: "index",
      bytes,
      digest: expected.digest,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [
        { ...full, platform: { architecture: "arm", os: "linux", variant: "v7", osVersion: "1", osFeatures: ["x"] } },
      ],
      annotations: { c: "d" },
      subject: image,
      artifactType: "t/u",
    });
  });

  it.each([
    ["Docker schema 2", { ...manifest, mediaType: MEDIA_TYPES.dockerManifest }, undefined, MEDIA_TYPES.dockerManifest],
    ["a Docker list", { ...index, mediaType: MEDIA_TYPES.dockerIndex }, undefined, MEDIA_TYPES.dockerIndex],
    [
      "a manifest by its header",
      without(manifest, "mediaType"),
      MEDIA_TYPES.dockerManifest,
      MEDIA_TYPES.dockerManifest,
    ],
    ["a manifest by its shape", without(manifest, "mediaType"), undefined, MEDIA_TYPES.ociManifest],
    ["an index by its shape", without(index, "mediaType"), "application/json", MEDIA_TYPES.ociIndex],
    [
      "an artifact without layers",
      { ...manifest, artifactType: "a/b", layers: [] },
      undefined,
      MEDIA_TYPES.ociManifest,
    ],
  ])("reads %s", (_, document, contentType, mediaType) => {
    expect(parseManifest(bytesOf(document), contentType === undefined ? {} : { contentType }).mediaType).toBe(
      mediaType,
    );
  });

  it.each([
    ["a document that is both", { ...index, layers: [layer], config }],
    ["an index with a config", { ...index, config }],
    ["an index with null layers", { ...index, layers: null }],
    ["a manifest with manifests", { ...manifest, manifests: [] }],
    ["a manifest that says it is an index", { ...manifest, mediaType: MEDIA_TYPES.ociIndex }],
    ["a manifest that only Go would read", { ...manifest, Layers: [] }],
    ["an index that only Go would read", { ...index, "manife\u017fts": [] }],
    ["no config", without(manifest, "config")],
    ["no layers", without(manifest, "layers")],
    ["layers that are an object", { ...manifest, layers: {} }],
    ["no manifests", without(index, "manifests")],
    ["no schemaVersion", without(manifest, "schemaVersion")],
    ["schemaVersion 3", { ...manifest, schemaVersion: 3 }],
    ["schemaVersion as text", { ...manifest, schemaVersion: "2" }],
    ["a layer that is text", { ...manifest, layers: ["x"] }],
    ["a layer without media type", { ...manifest, layers: [without(layer, "mediaType")] }],
    ["a layer with a header in its media type", { ...manifest, layers: [{ ...layer, mediaType: "a/b\r\nX: y" }] }],
    ["a layer without digest", { ...manifest, layers: [without(layer, "digest")] }],
    ["a bad digest", { ...manifest, layers: [{ ...layer, digest: "sha256:../../etc/passwd" }] }],
    ["a layer without size", { ...manifest, layers: [without(layer, "size")] }],
    ["a negative size", { ...manifest, layers: [{ ...layer, size: -1 }] }],
    ["a fractional size", { ...manifest, layers: [{ ...layer, size: 1.5 }] }],
    ["an unsafe size", { ...manifest, layers: [{ ...layer, size: 2 ** 53 }] }],
    ["a size as text", { ...manifest, layers: [{ ...layer, size: "5" }] }],
    ["annotations that are no texts", { ...manifest, annotations: { a: 1 } }],
    ["data that is not base64", { ...manifest, layers: [{ ...layer, data: "!!!!" }] }],
    ["a list", []],
    ["null", null],
  ])("refuses %s", (_, document) => {
    expect(() => parseManifest(bytesOf(document))).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
  });

  it("refuses duplicate names and sizes that only look like numbers", () => {
    const text = JSON.stringify(manifest);
    for (const broken of [text.replace('"layers"', '"layers":[],"layers"'), text.replace('"size":5', '"size":1e400')]) {
      expect(() => parseManifest(Buffer.from(broken))).toThrow(expect.objectContaining({ code: "MANIFEST_INVALID" }));
    }
  });

  it("refuses a Content-Type that disagrees with the document", () => {
    for (const contentType of [MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerManifest, "application/json"]) {
      expect(() => parseManifest(bytesOf(manifest), { contentType })).toThrow(
        expect.objectContaining({ code: "MANIFEST_INVALID" }),
      );
    }
  });

  it.each([
    ["schema 1", { schemaVersion: 1, name: "x", fsLayers: [] }, undefined],
    ["schema 1 by its header", {}, MEDIA_TYPES.dockerSchema1Signed],
    ["schema 1 by its media type", { schemaVersion: 2, mediaType: MEDIA_TYPES.dockerSchema1 }, undefined],
    ["another kind", { ...manifest, mediaType: "application/vnd.oci.artifact.manifest.v1+json" }, undefined],
    ["a web page's type", { schemaVersion: 2 }, "text/html"],
  ])("says that %s is not supported, and what to do", (_, document, contentType) => {
    expect(() => parseManifest(bytesOf(document), contentType === undefined ? {} : { contentType })).toThrow(
      expect.objectContaining({
        code: "MANIFEST_UNSUPPORTED",
        hint: expect.stringMatching(/push the image again|reads OCI/),
      }),
    );
  });

  it("holds the bytes to the size and digest that were asked for", () => {
    const bytes = bytesOf(manifest);
    const code = (expected: NonNullable<Parameters<typeof parseManifest>[1]>["expected"]): unknown => {
      try {
        parseManifest(bytes, { ...(expected !== undefined && { expected }) });
        return "fine";
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(code({ digest: digestOf(bytes), size: bytes.length })).toBe("fine");
    expect(code({ digest: digestOf("other") })).toBe("DIGEST_MISMATCH");
    expect(code({ size: bytes.length + 1 })).toBe("SIZE_MISMATCH");
    expect(() => parseManifest(new Uint8Array(MAX_DOCUMENT_BYTES + 1))).toThrow(
      expect.objectContaining({ code: "MANIFEST_TOO_LARGE" }),
    );
  });

  it("holds inline data to its digest and size", () => {
    const data = Buffer.from("layer").toString("base64");
    const inline = (changes: object): Uint8Array => bytesOf({ ...manifest, layers: [{ ...layer, data, ...changes }] });
    expect(parseManifest(inline({}))).toMatchObject({ layers: [{ data }] });
    expect(() => parseManifest(inline({ size: 6 }))).toThrow(expect.objectContaining({ code: "SIZE_MISMATCH" }));
    expect(() => parseManifest(inline({ digest: digestOf("other") }))).toThrow(
      expect.objectContaining({ code: "DIGEST_MISMATCH" }),
    );
  });

  it("takes an index with an odd platform, as long as it is one", () => {
    const parsed = parseManifest(bytesOf({ ...index, manifests: [{ ...image, platform: {} }] }));
    expect(parsed).toMatchObject({ manifests: [{ platform: { os: "", architecture: "" } }] });
    expect(() => parseManifest(bytesOf({ ...index, manifests: [{ ...image, platform: "linux/amd64" }] }))).toThrow(
      expect.objectContaining({ code: "MANIFEST_INVALID" }),
    );
  });
});

describe("media types", () => {
  it("know layers and how they are compressed", () => {
    expect(layerCompression(MEDIA_TYPES.dockerLayerGzip)).toBe("gzip");
    expect(layerCompression(MEDIA_TYPES.ociLayerZstd)).toBe("zstd");
    expect(layerCompression(MEDIA_TYPES.ociForeignLayer)).toBe("none");
    expect(layerCompression("toString")).toBe("unknown");
    expect(isLayerType(MEDIA_TYPES.ociConfig)).toBe(false);
  });

  it("are asked for without schema 1, and compared without parameters", () => {
    expect(ACCEPT_MANIFESTS.split(", ")).toHaveLength(4);
    expect(stripParameters("Application/JSON ; charset=utf-8")).toBe("application/json");
  });
});
