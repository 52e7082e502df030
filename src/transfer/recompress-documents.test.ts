import { describe, expect, it } from "vitest";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf } from "../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { mustBecomeOci, newIndex, newManifest } from "./recompress-documents.ts";

const at = (name: string, mediaType: string, more: object = {}) => ({
  mediaType,
  digest: digestOf(name),
  size: name.length,
  ...more,
});

function manifestOf(text: string | object): Manifest {
  const document = parseManifest(Buffer.from(typeof text === "string" ? text : JSON.stringify(text)));
  if (document.kind === "manifest") return document;
  throw new Error("it is an index");
}

function indexOf(document: object): Index {
  const index = parseManifest(Buffer.from(JSON.stringify(document)));
  if (index.kind === "index") return index;
  throw new Error("it is a manifest");
}

const textOf = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString();
const jsonOf = (bytes: Uint8Array | undefined): unknown => JSON.parse(textOf(bytes));

const made: Descriptor = at("made", MEDIA_TYPES.ociLayerZstd, { annotations: { toc: "yes" } });

const dockers = {
  schemaVersion: 2,
  mediaType: MEDIA_TYPES.dockerManifest,
  config: at("config", MEDIA_TYPES.dockerConfig),
  layers: [
    at("one", MEDIA_TYPES.dockerLayerGzip),
    at("foreign", MEDIA_TYPES.dockerForeignLayerGzip, { urls: ["https://layers.example/1"] }),
    at("two", MEDIA_TYPES.dockerLayerGzip),
  ],
};

describe("a manifest whose layers are new", () => {
  it("is the same when none is", () => {
    const manifest = manifestOf(dockers);
    expect(newManifest(manifest, manifest.layers)).toBeUndefined();
    expect(newManifest(manifest, [...manifest.layers])).toBeUndefined();
  });

  it("becomes OCI's when Docker's have no word for a layer, also where that layer is none of the new ones", () => {
    const manifest = manifestOf(dockers);
    const layers = [made, ...manifest.layers.slice(1)];
    expect(mustBecomeOci(manifest, layers)).toBe(true);
    expect(jsonOf(newManifest(manifest, layers))).toEqual({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociManifest,
      config: at("config", MEDIA_TYPES.ociConfig),
      layers: [
        made,
        at("foreign", MEDIA_TYPES.ociForeignLayerGzip, { urls: ["https://layers.example/1"] }),
        at("two", MEDIA_TYPES.ociLayerGzip),
      ],
    });
  });

  it("stays Docker's where it can", () => {
    const manifest = manifestOf(dockers);
    const gzip = at("gzip", MEDIA_TYPES.dockerLayerGzip);
    expect(jsonOf(newManifest(manifest, [gzip, ...manifest.layers.slice(1)]))).toEqual({
      ...dockers,
      layers: [gzip, ...dockers.layers.slice(1)],
    });
  });

  it("keeps what no spec knows, numbers as they were spelled, and of a layer all that was not about its bytes", () => {
    const old = JSON.stringify(at("one", MEDIA_TYPES.ociLayerGzip, { annotations: { toc: "no" }, "x.example": [1] }));
    const data = Buffer.from("one").toString("base64");
    const withBytes = old.replace("{", `{"data":"${data}","urls":["https://layers.example/1"],`);
    const text = (layer: string): string =>
      `{"schemaVersion":2,"mediaType":"${MEDIA_TYPES.ociManifest}","x.example":{"exact":123456789012345678901,"__proto__":` +
      `{"a":1.0}},"config":{"mediaType":"${MEDIA_TYPES.ociConfig}","digest":"${digestOf("config")}","size":6,"odd":-0},` +
      `"layers":[${layer}],"annotations":{"kept":"\\u2028"}}`;
    const now = textOf(newManifest(manifestOf(text(withBytes)), [made]));
    const expected = `{"mediaType":"${made.mediaType}","digest":"${made.digest}","size":${made.size},"x.example":[1],"annotations":{"toc":"yes"}}`;
    expect(now).toBe(text(expected).replace("\\u2028", "\u2028"));
  });
});

describe("an index whose manifests are new", () => {
  const platform = { os: "linux", architecture: "amd64" };
  const image = manifestOf({ ...dockers, mediaType: MEDIA_TYPES.ociManifest });
  const attestation = manifestOf({
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config: at("about", MEDIA_TYPES.ociConfig),
    layers: [at("statement", "application/vnd.in-toto+json")],
  });
  const describing = ({ mediaType, digest, bytes }: Manifest | Index, more: object = {}) => ({
    mediaType,
    digest,
    size: bytes.length,
    ...more,
  });
  const about = (digest: string): object => ({
    annotations: { "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": digest },
    platform: { os: "unknown", architecture: "unknown" },
  });
  const chunked = manifestOf(Buffer.from(newManifest(image, [made, ...image.layers.slice(1)])!).toString());

  it("is the same when none is", () => {
    const index = indexOf({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [describing(image, { platform })],
    });
    expect(newIndex(index, new Map([[image.digest, image]]))).toBeUndefined();
  });

  it("names the new ones, attestations with what they are about, and leaves alone what was not converted", () => {
    const unknown = at("unknown", "application/vnd.example+json", { platform });
    const document = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [
        describing(image, { platform, "x.example": true, data: Buffer.from(image.bytes).toString("base64") }),
        describing(attestation, about(image.digest)),
        unknown,
        describing(attestation, about(digestOf("elsewhere"))),
      ],
      "x.example": "kept",
      annotations: { kept: "yes" },
    };
    const converted = new Map([
      [image.digest, chunked],
      [attestation.digest, attestation],
    ]);
    expect(jsonOf(newIndex(indexOf(document), converted))).toEqual({
      ...document,
      manifests: [
        describing(chunked, { platform, "x.example": true }),
        describing(attestation, about(chunked.digest)),
        unknown,
        describing(attestation, about(digestOf("elsewhere"))),
      ],
    });
  });

  it("becomes OCI's when one of them does", () => {
    const old = manifestOf(dockers);
    const other = manifestOf({ ...dockers, config: at("other", MEDIA_TYPES.dockerConfig) });
    const list = indexOf({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.dockerIndex,
      manifests: [describing(old, { platform }), describing(other, { platform })],
    });
    const now = jsonOf(
      newIndex(
        list,
        new Map([
          [old.digest, chunked],
          [other.digest, other],
        ]),
      ),
    );
    expect(now).toMatchObject({
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [{ mediaType: MEDIA_TYPES.ociManifest }, { mediaType: MEDIA_TYPES.dockerManifest }],
    });
  });

  it("does not say of manifests that they are zstd when they are no more", () => {
    const annotations = { "io.github.containers.compression.zstd": "true", kept: "yes" };
    const index = indexOf({
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.ociIndex,
      manifests: [describing(chunked, { platform, annotations })],
    });
    const gzip = newIndex(index, new Map([[chunked.digest, image]]));
    expect(jsonOf(gzip)).toMatchObject({ manifests: [{ annotations: { kept: "yes" } }] });
    expect(textOf(gzip)).not.toContain("compression.zstd");
    const other = manifestOf(Buffer.from(newManifest(image, [image.layers[0]!, made, made])!).toString());
    expect(textOf(newIndex(index, new Map([[chunked.digest, other]])))).toContain("compression.zstd");
  });
});
