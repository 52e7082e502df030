/** The index of an image's chunks is kept and goes with the image, and no list shows it. */
import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { tartImage } from "../../../../test/kit/disk/tart-image.ts";
import { tempDir } from "../../../../test/kit/temp-dir.ts";
import { readIndexManifest, writeIndexManifest } from "../../../codec/disk-index/index-manifest.ts";
import { digestOf, type Digest } from "../../../oci/digest.ts";
import { parseManifest, type Manifest } from "../../../oci/manifest.ts";
import { openStore, type Store } from "../../../store/store.ts";
import type { TransferContext } from "../../context.ts";
import { collectGarbage } from "../../gc.ts";
import { listImages, removeImages, tagImage } from "../../images.ts";
import { prune } from "../../prune.ts";
import { listedReferrers } from "../../transports/store-referrers.ts";
import { publishChunkIndex } from "./publish.ts";

const NAME = "registry.example/vm:v1";

/** An image in the store with an index for each of its chunks. */
async function stored(store: Store): Promise<Manifest> {
  const { manifest, blobs } = tartImage(randomBytes(30_000), { chunkSizes: [10_000] });
  await using lease = await store.leases.create();
  await lease.add(manifest.digest, ...blobs.keys());
  for (const [digest, bytes] of blobs) await store.content.writeBytes(digest, bytes);
  await store.content.writeBytes(manifest.digest, manifest.bytes);
  const descriptor = { mediaType: manifest.mediaType, digest: manifest.digest, size: manifest.bytes.length };
  await store.images.put({ name: NAME, descriptor, configDigest: manifest.config.digest });
  const indexes = new Map([...blobs.keys()].map((digest) => [digest, Buffer.from(`index of ${digest}`)]));
  const { signal } = new AbortController();
  expect(await publishChunkIndex(store, { name: NAME, manifest, indexes, lease, signal })).toBeDefined();
  return manifest;
}

async function indexesIn(store: Store, subject: Digest): Promise<readonly Digest[]> {
  const [listed] = await listedReferrers(store, NAME, subject);
  const bytes = await store.content.readBytes(listed!.digest, 1 << 20);
  const manifest = parseManifest(bytes) as Manifest;
  return [...readIndexManifest(manifest, subject).values()].map(({ digest }) => digest);
}

describe("the chunk index of an image in the store", () => {
  it("is kept by the image's names, goes with the last one, and is in no list of images", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const context = { store, signal: new AbortController().signal, onProgress: () => {} } as unknown as TransferContext;
    const { digest } = await stored(store);
    expect((await listImages(context)).map(({ name }) => name)).toEqual([NAME]);
    await store.collectGarbage();
    const indexes = await indexesIn(store, digest);
    expect(indexes.length).toBeGreaterThanOrEqual(3);
    for (const index of indexes) expect(await store.content.stat(index)).toBeDefined();
    await tagImage(context, NAME, "registry.example/vm:v2");
    await removeImages(context, [NAME]);
    expect(await indexesIn(store, digest)).toEqual(indexes);
    const { untagged } = await removeImages(context, ["registry.example/vm:v2"]);
    expect(untagged).toEqual(["registry.example/vm:v2"]);
    expect(await store.images.list()).toEqual([]);
    for (const index of indexes) expect(await store.content.stat(index)).toBeUndefined();
  });
});

describe("other ways in which images go", () => {
  it("take the index along: being pruned, and being another image", async () => {
    await using dir = await tempDir();
    await using store = await openStore(dir.path);
    const context = { store, signal: new AbortController().signal, onProgress: () => {} } as unknown as TransferContext;
    const { digest, mediaType, bytes } = await stored(store);
    // The list is younger than the image, and no image: it neither goes by its age nor keeps the image from it.
    expect(await prune(context, { olderThanMs: 0, now: Date.now() + 1000 })).toMatchObject({ removed: [] });
    expect(await indexesIn(store, digest)).not.toEqual([]);
    await store.images.delete(NAME);
    await store.images.put({ name: "registry.example/other:1", descriptor: { mediaType, digest, size: bytes.length } });
    await collectGarbage(context, { dryRun: true });
    await collectGarbage(context);
    expect((await store.images.list()).length).toBe(2);
    await store.images.delete("registry.example/other:1");
    await collectGarbage(context, { dryRun: true });
    expect((await store.images.list()).length).toBe(1);
    await collectGarbage(context);
    expect(await store.images.list()).toEqual([]);
  });
});

describe("the manifest of indexes", () => {
  const subject = { mediaType: "application/vnd.oci.image.manifest.v1+json", digest: digestOf("image"), size: 5 };
  const chunk = digestOf("chunk");
  const index = { digest: digestOf("index"), size: 5 };
  const read = (bytes: Uint8Array): Manifest => parseManifest(bytes) as Manifest;

  it("is refused when it is of another image, something else, or contradicts itself", () => {
    const manifest = read(writeIndexManifest(subject, [{ chunk, index }]));
    expect([...readIndexManifest(manifest, subject.digest)]).toMatchObject([[chunk, index]]);
    expect(() => readIndexManifest(manifest, chunk)).toThrow(/does not refer/);
    const twice = read(
      writeIndexManifest(
        subject,
        [1, 2].map(() => ({ chunk, index })),
      ),
    );
    expect(() => readIndexManifest(twice, subject.digest)).toThrow(/two indexes/);
    expect(() => readIndexManifest({ ...manifest, artifactType: "other" }, subject.digest)).toThrow(/no index/);
  });
});
