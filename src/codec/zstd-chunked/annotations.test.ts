import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { digestOf } from "../../oci/digest.ts";
import {
  formatZstdChunkedAnnotations,
  parseZstdChunkedAnnotations,
  ZSTD_CHUNKED_ANNOTATIONS,
  type DocumentPlace,
  type ZstdChunkedAnnotations,
} from "./annotations.ts";

const { podman, nerdctl } = ZSTD_CHUNKED_ANNOTATIONS;
const digest = digestOf("toc");
const good = {
  [podman.tocDigest]: digest,
  [podman.tocPosition]: "100:50:400:1",
  [podman.tarSplitPosition]: "158:20:90",
};
const BLOB = 1000;

const places: fc.Arbitrary<DocumentPlace> = fc.record({
  offset: fc.integer({ min: 1, max: 2 ** 40 }),
  compressed: fc.integer({ min: 1, max: 2 ** 30 }),
  uncompressed: fc.nat({ max: 2 ** 40 }),
});
const layers: fc.Arbitrary<ZstdChunkedAnnotations> = fc.oneof(
  fc.record(
    { dialect: fc.constant("podman" as const), toc: places, tocDigest: fc.constant(digest), tarSplit: places },
    { requiredKeys: ["dialect", "toc", "tocDigest"] },
  ),
  fc.record(
    {
      dialect: fc.constant("nerdctl" as const),
      toc: places,
      tocDigest: fc.constant(digest),
      plainTocDigest: fc.constant(digest),
    },
    { requiredKeys: ["dialect", "toc", "tocDigest"] },
  ),
);

describe("annotations of a zstd:chunked layer", () => {
  it("say what they were given, in both dialects", () => {
    fc.assert(
      fc.property(layers, (layer) => {
        const others = { "org.example": "x", ...formatZstdChunkedAnnotations(layer) };
        expect(parseZstdChunkedAnnotations(others, 2 ** 50)).toEqual(layer);
      }),
    );
  });

  it("are podman's to the letter", () => {
    expect(parseZstdChunkedAnnotations(good, BLOB)).toEqual({
      dialect: "podman",
      tocDigest: digest,
      toc: { offset: 100, compressed: 50, uncompressed: 400 },
      tarSplit: { offset: 158, compressed: 20, uncompressed: 90 },
    });
  });

  it("make nothing of a layer that has none, or those of eStargz", () => {
    expect(parseZstdChunkedAnnotations(undefined, BLOB)).toBeUndefined();
    expect(parseZstdChunkedAnnotations({ [nerdctl.plainTocDigest]: digest }, BLOB)).toBeUndefined();
    expect(parseZstdChunkedAnnotations({ [podman.tocPosition]: "1:2:3:1" }, BLOB)).toBeUndefined();
  });

  it.each([
    ["two tables of contents", { ...good, [nerdctl.plainTocDigest]: digest }],
    ["no position", { [podman.tocDigest]: digest }],
    ["no digest", { ...good, [podman.tocDigest]: "sha256:12" }],
    ["an unknown type", { ...good, [podman.tocPosition]: "100:50:400:2" }],
    ["three numbers for four", { ...good, [podman.tocPosition]: "100:50:400" }],
    ["a sign", { ...good, [podman.tocPosition]: "-100:50:400:1" }],
    ["something behind", { ...good, [podman.tocPosition]: "100:50:400:1 " }],
    ["a place beyond the blob", { ...good, [podman.tocPosition]: "100:901:400:1" }],
    ["an absurd place", { ...good, [podman.tocPosition]: "9999999999999999:1:400:1" }],
    ["no bytes", { ...good, [podman.tocPosition]: "100:0:400:1" }],
    ["a tar-split beyond the blob", { ...good, [podman.tarSplitPosition]: "1000:1:1" }],
    ["a tar-split of four numbers", { ...good, [podman.tarSplitPosition]: "158:20:90:1" }],
    ["nerdctl's with a wrong digest", { [nerdctl.tocDigest]: "x", [nerdctl.tocPosition]: "1:2:3:1" }],
  ])("are refused for %s", (_, annotations) => {
    expect(() => parseZstdChunkedAnnotations(annotations, BLOB)).toThrow(
      expect.objectContaining({ code: "TOC_INVALID" }),
    );
  });
});
