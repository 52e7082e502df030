/** What of an image is looked at and what is to be put, with sources and sinks that only count. */
import { describe, expect, it } from "vitest";
import { VarveError } from "../errors/varve-error.ts";
import type { Descriptor } from "../oci/descriptor.ts";
import { digestOf, type Digest } from "../oci/digest.ts";
import { parseManifest, type Index, type Manifest } from "../oci/manifest.ts";
import { MEDIA_TYPES } from "../oci/media-types.ts";
import { findCopyGraph, type GraphOptions } from "./copy-graph.ts";
import type { ImageSink, ImageSource } from "./transports/types.ts";

type Document = Manifest | Index;

const describeDocument = ({ mediaType, digest, bytes }: Document): Descriptor => ({
  mediaType,
  digest,
  size: bytes.length,
});

function manifest(name: string, subject?: Document): Document {
  const config = { mediaType: MEDIA_TYPES.ociConfig, digest: digestOf(name), size: name.length };
  const about = subject === undefined ? {} : { subject: describeDocument(subject) };
  return parse({ mediaType: MEDIA_TYPES.ociManifest, config, layers: [], ...about });
}

function index(...children: readonly Document[]): Document {
  return parse({ mediaType: MEDIA_TYPES.ociIndex, manifests: children.map(describeDocument) });
}

function parse(value: object): Document {
  return parseManifest(Buffer.from(JSON.stringify({ schemaVersion: 2, ...value })));
}

interface Place {
  readonly read: Digest[];
  readonly asked: Digest[];
  find(root: Document, options?: Partial<GraphOptions>): Promise<{ parts: string[]; referrers: string[] }>;
}

/** @param held by the source; @param there at the sink, whole; @param listed of these as referrers, at a sink that lists some */
function between(held: readonly Document[], there: readonly Document[] = [], listed?: readonly Document[]): Place {
  const read: Digest[] = [];
  const asked: Digest[] = [];
  const source: Partial<ImageSource> = {
    document({ digest }) {
      read.push(digest);
      const found = held.find((document) => document.digest === digest);
      return found ? Promise.resolve(found) : Promise.reject(new VarveError("BLOB_UNKNOWN", "not held"));
    },
    referrers: (subject) =>
      Promise.resolve(held.filter((document) => document.subject?.digest === subject).map(describeDocument)),
  };
  const sink: Partial<ImageSink> = {
    hasWhole({ digest }) {
      asked.push(digest);
      return Promise.resolve(there.some((document) => document.digest === digest));
    },
    ...(listed && {
      listed: (subject) =>
        Promise.resolve(listed.filter((document) => document.subject?.digest === subject).map(describeDocument)),
    }),
  };
  return {
    read,
    asked,
    async find(root, options = {}) {
      const given = { referrers: false, concurrency: 3, name: "app:1", ...options };
      const { parts, referrers } = await findCopyGraph(source as ImageSource, sink as ImageSink, root, given);
      return { parts: parts.map(({ digest }) => digest), referrers: referrers.map(({ digest }) => digest) };
    },
  };
}

describe("findCopyGraph", () => {
  const [one, two, three] = [manifest("one"), manifest("two"), manifest("three")];

  it("asks of a root that is there nothing more", async () => {
    const root = index(one, two);
    const place = between([one, two], [root]);
    expect(await place.find(root)).toEqual({ parts: [], referrers: [] });
    expect([place.read, place.asked]).toEqual([[], [root.digest]]);
  });

  it("asks once of each part, and reads only those that are not there, which the source may not even have", async () => {
    const nested = index(two, three);
    const root = index(one, nested, two);
    const place = between([two, three, nested], [one]);
    expect(await place.find(root)).toEqual({
      parts: [root.digest, nested.digest, two.digest, three.digest],
      referrers: [],
    });
    expect(place.asked).toEqual([root, one, nested, two, three].map(({ digest }) => digest));
    expect(place.read).not.toContain(one.digest);
  });

  it("says which part the source lacks", async () => {
    const failure = between([one]).find(index(one, two));
    await expect(failure).rejects.toMatchObject({
      code: "MANIFEST_UNKNOWN",
      message: expect.stringContaining(two.digest),
    });
  });

  it("refuses indexes that are nested deeper than any real one", async () => {
    const inner = [one];
    for (let depth = 0; depth < 4; depth++) inner.push(index(inner.at(-1)!));
    await expect(between(inner).find(inner.at(-1)!)).rejects.toMatchObject({ code: "MANIFEST_INVALID" });
    expect((await between(inner).find(inner.at(-2)!)).parts).toHaveLength(4);
  });

  it("finds what refers to parts, also to those that are there, and what refers to that", async () => {
    const root = index(one, two);
    const signature = manifest("signature", one);
    const second = manifest("second", signature);
    const place = between([one, two, signature, second], [root, one, two]);
    expect(await place.find(root)).toEqual({ parts: [], referrers: [] });
    expect(await place.find(root, { referrers: true })).toEqual({
      parts: [],
      referrers: [signature.digest, second.digest],
    });
    expect(await between([two, signature, second], [root]).find(root, { referrers: true })).toEqual({
      parts: [],
      referrers: [signature.digest, second.digest],
    });
  });

  it("puts once more what refers to others and is there, but not listed", async () => {
    const [first, second] = [manifest("first", one), manifest("second", one)];
    const all = [one, first, second];
    const place = between(all, all, [first]);
    expect(await place.find(one, { referrers: true })).toEqual({ parts: [], referrers: [second.digest] });
    expect(place.asked).toEqual([one.digest, first.digest]);
  });

  it("does not follow what refers to each other without end", async () => {
    const chain = [one];
    for (let at = 0; at < 10; at++) chain.push(manifest(`${at}`, chain.at(-1)));
    const endless = between(chain).find(one, { referrers: true });
    await expect(endless).rejects.toMatchObject({ code: "MANIFEST_INVALID" });
  });
});
