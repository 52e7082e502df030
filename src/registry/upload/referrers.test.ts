/** Manifests with a subject at registries that list referrers by themselves, and at those that leave it to clients. */
import { describe, expect, it } from "vitest";
import { MEDIA_TYPES } from "../../oci/media-types.ts";
import { parseManifest, type Index, type Manifest } from "../../oci/manifest.ts";
import { digestOf } from "../../oci/digest.ts";
import { buildImage, type KitImage } from "../../../test/kit/images/build-image.ts";
import { pushImage } from "../../../test/kit/images/push-image.ts";
import { startFaultProxy } from "../../../test/kit/faults/fault-proxy.ts";
import { at, describeBlob, opening, testClient } from "../../../test/kit/http/test-client.ts";
import { startRegistry } from "../../../test/kit/registry/registry.ts";
import { fallbackTag } from "../referrers.ts";
import type { BlobSink } from "./blob-sink.ts";

const image = await buildImage({ layers: [] });
const { mediaType, digest, size } = image.descriptor;
const SUBJECT = { mediaType, digest, size };

async function referrer(name: string): Promise<KitImage> {
  return await buildImage({ layers: [], subject: SUBJECT, artifactType: "test/note", annotations: { name } });
}

async function putBlobs(sink: BlobSink, { blobs }: KitImage): Promise<void> {
  for (const { bytes } of blobs) await sink.putBlob(describeBlob(bytes), opening(bytes));
}

/** A registry that has the image and lists no referrers. */
async function plain(etag: boolean) {
  const registry = await startRegistry({ quirks: { referrers: false, etag } });
  await pushImage(registry.host, "team/app", "v1", image);
  return registry;
}

describe("a referrer", () => {
  it("is listed by a registry that can, and nothing else is written", async () => {
    await using registry = await startRegistry();
    await using client = testClient();
    const sink = client.uploads(at(registry.host));
    const note = await referrer("one");
    await putBlobs(sink, note);
    const put = await sink.putManifest(parseManifest(note.bytes));
    expect(put).toMatchObject({ digest: note.digest, subject: digest });
    expect(put.fallbackTag).toBeUndefined();
    expect(registry.requests.findLast(({ method }) => method === "PUT")?.path).toContain(note.digest);
  });

  it.each([true, false])(
    "is listed under a tag at others, with what stands there (conditions known: %s)",
    async (etag) => {
      await using registry = await plain(etag);
      await using client = testClient();
      const sink = client.uploads(at(registry.host));
      const tag = fallbackTag(digest);
      const old = { ...SUBJECT, digest: digestOf("old"), size: 3, "x-unknown": [1] };
      const before = JSON.stringify({
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [old],
        "x-kept": true,
      });
      registry.setQuirks({ referrers: false, etag, credulous: true });
      await sink.putManifest(parseManifest(Buffer.from(before)), tag);
      registry.setQuirks({ referrers: false, etag });
      const notes = await Promise.all(["one", "two"].map(referrer));
      registry.setQuirks({ referrers: false, etag, credulous: true });
      // Whoever cannot put under a condition can be in time only for those of the same program.
      await using other = testClient();
      const sinks = [sink, (etag ? other : client).uploads(at(registry.host))];
      await Promise.all(
        notes.map(async (note, index) => {
          await putBlobs(sinks[index]!, note);
          expect((await sinks[index]!.putManifest(parseManifest(note.bytes))).fallbackTag).toBe(tag);
        }),
      );
      const index = (await client.fetchManifest(at(registry.host, `team/app:${tag}`))) as Index;
      const listed = JSON.parse(Buffer.from(index.bytes).toString()) as Record<string, unknown>;
      expect(listed["x-kept"]).toBe(true);
      expect(listed["manifests"]).toContainEqual(old);
      expect(listed["manifests"]).toHaveLength(3);
      expect(index.manifests.find((entry) => entry.digest === notes[0]!.digest)).toEqual({
        mediaType,
        digest: notes[0]!.digest,
        size: notes[0]!.bytes.length,
        artifactType: "test/note",
        annotations: { name: "one" },
      });
      // Once more changes nothing.
      const writes = (): number =>
        registry.requests.filter(({ method, path }) => method === "PUT" && path.endsWith(tag)).length;
      const written = writes();
      await sink.putManifest(parseManifest(notes[0]!.bytes), "note");
      expect(writes()).toBe(written);
    },
  );

  it("is listed again when somebody else wrote in between", async () => {
    await using registry = await plain(false);
    const tag = fallbackTag(digest);
    const [mine, theirs] = [await referrer("mine"), await referrer("theirs")];
    await using proxy = await startFaultProxy({ target: registry.host });
    await using client = testClient();
    const sink = client.uploads(at(proxy.host));
    const other = client.uploads(at(registry.host));
    await putBlobs(sink, mine);
    await putBlobs(sink, theirs);
    // The registry says that it took the list, and has that of another.
    proxy.setRules([{ method: "PUT", path: /sha256-/, nth: 1, fault: { kind: "status", status: 201 } }]);
    await other.putManifest(parseManifest(theirs.bytes));
    expect((await sink.putManifest(parseManifest(mine.bytes))).fallbackTag).toBe(tag);
    const found = await client.referrers(at(registry.host), digest);
    expect(new Set(found.map((entry) => entry.digest))).toEqual(new Set([mine.digest, theirs.digest]));
  });

  it("is listed again when somebody wrote a little later what the list was before", async () => {
    await using registry = await plain(false);
    const [mine, theirs] = [await referrer("mine"), await referrer("theirs")];
    await using direct = testClient();
    const other = direct.uploads(at(registry.host));
    await putBlobs(other, mine);
    await putBlobs(other, theirs);
    const list = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [theirs.descriptor] });
    await other.putManifest(parseManifest(theirs.bytes));
    let waits = 0;
    const sleep = async (): Promise<void> => {
      if (waits++ === 0) await other.putManifest(parseManifest(Buffer.from(list)), fallbackTag(digest));
    };
    await using client = testClient({ clock: { now: () => 0, random: () => 0, sleep } });
    await client.uploads(at(registry.host)).putManifest(parseManifest(mine.bytes));
    expect(waits).toBeGreaterThan(1);
    const found = await client.referrers(at(registry.host), digest);
    expect(new Set(found.map((entry) => entry.digest))).toEqual(new Set([mine.digest, theirs.digest]));
  });

  it("is given up where the tag is never kept, or stands for something else", async () => {
    await using registry = await plain(false);
    await using proxy = await startFaultProxy({ target: registry.host });
    await using client = testClient();
    const sink = client.uploads(at(proxy.host));
    const note = await referrer("one");
    await putBlobs(sink, note);
    proxy.setRules([{ method: "PUT", path: /sha256-/, fault: { kind: "status", status: 201 } }]);
    await expect(sink.putManifest(parseManifest(note.bytes))).rejects.toMatchObject({ code: "REGISTRY_UNAVAILABLE" });
    proxy.setRules([]);
    await sink.putManifest(parseManifest(image.bytes), fallbackTag(digest));
    await expect(sink.putManifest(parseManifest(note.bytes))).rejects.toMatchObject({
      code: "MANIFEST_INVALID",
      message: expect.stringContaining("no index"),
    });
    expect((await sink.resolve(fallbackTag(digest)))?.digest).toBe(image.digest);
  });

  it("that is an index or has no type of its own is described as the specification says", async () => {
    await using registry = await plain(false);
    await using client = testClient();
    const sink = client.uploads(at(registry.host));
    const bare = await buildImage({ layers: [], subject: SUBJECT });
    await putBlobs(sink, bare);
    await sink.putManifest(parseManifest(bare.bytes));
    const text = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [], subject: SUBJECT });
    const index = parseManifest(Buffer.from(text)) as Index;
    await sink.putManifest(index);
    const found = await client.referrers(at(registry.host), digest);
    expect(found.map((entry) => [entry.digest, entry.artifactType])).toEqual([
      [bare.digest, (parseManifest(bare.bytes) as Manifest).config.mediaType],
      [index.digest, undefined],
    ]);
  });
});

describe("a manifest", () => {
  it("is sent as it is, refused when it is not what it says, or too large, or misses a part", async () => {
    await using registry = await startRegistry();
    await using client = testClient();
    const sink = client.uploads(at(registry.host));
    const document = parseManifest(image.bytes);
    await expect(sink.putManifest(document, "v1")).rejects.toMatchObject({ code: "BLOB_UNKNOWN" });
    await putBlobs(sink, image);
    await sink.putManifest(document, "v1");
    const sent = registry.requests.at(-1);
    expect(sent?.headers["content-type"]).toBe(mediaType);
    expect((await client.fetchManifest(at(registry.host))).bytes).toEqual(image.bytes);
    const wrong = { ...document, digest: digestOf("x") };
    await expect(sink.putManifest(wrong)).rejects.toMatchObject({ code: "DIGEST_MISMATCH" });
    await expect(sink.putManifest(document, "../evil")).rejects.toMatchObject({ code: "REFERENCE_INVALID" });
    registry.setQuirks({ manifestLimit: 10 });
    await expect(sink.putManifest(document)).rejects.toMatchObject({ code: "MANIFEST_TOO_LARGE" });
  });
});
