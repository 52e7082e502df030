import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { digestOf } from "../oci/digest.ts";
import { childrenFirst, distinctBlobs } from "./copy-order.ts";

const blob = { mediaType: "application/octet-stream", digest: digestOf("blob"), size: 4 };

function manifest(name: string): Manifest | Index {
  const config = { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf(name), size: name.length };
  return parseManifest(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, config, layers: [blob] })),
  );
}

function index(children: readonly (Manifest | Index)[]): Manifest | Index {
  const manifests = children.map(({ mediaType, digest, bytes }) => ({ mediaType, digest, size: bytes.length }));
  return parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests })));
}

describe("childrenFirst", () => {
  it("has whatever a document names in an earlier list, each document once, however they name each other", () => {
    fc.assert(
      fc.property(fc.array(fc.array(fc.nat(), { maxLength: 4 }), { minLength: 1, maxLength: 12 }), (shape) => {
        const all: (Manifest | Index)[] = [manifest("first")];
        for (const [at, picks] of shape.entries()) {
          const named = picks.map((pick) => all[pick % all.length]!);
          all.push(named.length === 0 ? manifest(`manifest ${at}`) : index(named));
        }
        const distinct = [...new Map(all.map((document) => [document.digest, document])).values()];
        const lists = childrenFirst(distinct.toReversed());
        expect(lists.flat()).toHaveLength(distinct.length);
        const done = new Set<string>();
        for (const list of lists) {
          for (const document of list) {
            const named = document.kind === "index" ? document.manifests : [];
            for (const { digest } of named) expect(done.has(digest)).toBe(true);
          }
          for (const { digest } of list) done.add(digest);
        }
      }),
    );
  });

  it("does not wait for what is not to be put", () => {
    const parent = index([manifest("there")]);
    expect(childrenFirst([parent])).toEqual([[parent]]);
  });
});

describe("distinctBlobs", () => {
  it("lists each once, in the order in which it is first named", () => {
    const digests = distinctBlobs([manifest("a"), manifest("b")]).map(({ digest }) => digest);
    expect(digests).toEqual([digestOf("a"), blob.digest, digestOf("b")]);
  });
});
